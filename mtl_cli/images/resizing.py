"""Images brought into one size, and their labels with them; predictions brought back to the size of the file."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mtl_cli.images.decoding import Array

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Frame:
    """How an image lies in the input: the size (H, W) of its `file`, and what of the input it fills, `content` (h, w).

    The content begins at the top left corner; what is beyond it, if anything, is filled up.
    """

    file: tuple[int, int]
    content: tuple[int, int]

    @property
    def same(self) -> bool:
        """Whether the image is as large as its file."""
        return self.file == self.content

    @property
    def scale(self) -> tuple[float, float]:
        """How many pixels of the input one of the file becomes, down and across."""
        return self.content[0] / self.file[0], self.content[1] / self.file[1]

    def of_field(self, field: "Tensor", kind: str) -> "Tensor":
        """Return a label field of the file's size as one of the input's: numbers by the nearest pixel, boxes scaled."""
        import torch

        if self.same:
            return field
        down, across = self.scale
        if kind == "boxes":
            return field * torch.tensor([across, down, across, down, 1.0])
        if kind == "keypoints":
            return field * torch.tensor([across, down, 1.0])
        rows, columns = (nearest_places(old, new) for old, new in zip(self.file, self.content, strict=True))
        return field[..., rows[:, None], columns]

    def map_back(self, values: "Tensor") -> "Tensor":
        """Return a predicted map [C, H, W] of the input as one of the file's size [C, *file], by bilinear weights."""
        from torch.nn import functional as F

        part = values[:, : self.content[0], : self.content[1]]
        if self.same:
            return part
        return F.interpolate(part[None], size=self.file, mode="bilinear", align_corners=False)[0]

    def boxes_back(self, boxes: "Tensor") -> "Tensor":
        """Return boxes [N, 4] of the input in pixels of the file."""
        down, across = self.scale
        return boxes / boxes.new_tensor([across, down, across, down])


def framed(file: tuple[int, int], size: tuple[int, int] | None) -> Frame:
    """Return how an image of a file lies in inputs of `size` (H, W), as large as it fits; None: as it is."""
    if size is None:
        return Frame(file, file)
    factor = min(size[0] / file[0], size[1] / file[1])
    height, width = (min(most, max(1, round(factor * side))) for most, side in zip(size, file, strict=True))
    return Frame(file, (height, width))


def nearest_places(old: int, new: int) -> "Tensor":
    """Return for each of `new` pixels the nearest of `old` ones, by their centres."""
    import torch

    return ((torch.arange(new, dtype=torch.float64) + 0.5) * old / new).floor().long().clamp(max=old - 1)


def resized(image: Array, frame: Frame) -> Array:
    """Return an image [C, H, W] in the size of the frame's content, antialiased."""
    if frame.same:
        return image
    from PIL import Image

    height, width = frame.content
    planes = [
        Image.fromarray(plane.astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR) for plane in image
    ]
    found = np.stack([np.asarray(plane) for plane in planes])
    return found if image.dtype == np.float32 else np.rint(found).clip(0, np.iinfo(image.dtype).max).astype(image.dtype)
