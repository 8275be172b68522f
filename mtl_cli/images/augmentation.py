"""Random changes of images in training: one geometry for an image and all labels that are pictures, boxes or points.

The geometry is torchvision's (transforms.v2 on its typed tensors), and so are the colours. Depth is divided by the
zoom: what is shown twice as large is half as far away. Normals turn with the image; their x points right and
their y down. Boxes are cut at the image's border, and dropped where hardly anything of them is left: annotators mark
what shows of an object, also where its centre does not. Pixels from outside are the mean colour in images and missing
in labels.
"""

import functools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from mtl_cli.batch import MISSING_CLASS, FieldSpec, Sample, image_of, with_image
from mtl_cli.errors import UserError
from mtl_cli.images.augment_options import AugmentOptions
from mtl_cli.images.moved_boxes import axes_of, boxes_around, kept_boxes, quarter_turned
from mtl_cli.images.picture_rows import Pixels
from mtl_cli.images.picture_targets import MAPS

if TYPE_CHECKING:
    from torchvision.tv_tensors import Image

TURN = "turn"
"""The field that `rotation` adds."""
TURNS = ("0", "90", "180", "270")
GEOMETRIC = (*MAPS, "boxes", "keypoints")
ERASED = ((0.02, 0.33), (0.3, 3.3))
"""Share of the image and ratio of the sides of what `erase` covers, as in torchvision's RandomErasing."""


class ImageAugmentation:
    """Changes a row as the options say, and scales its pixels; see `mtl_cli.datasets.base.Augmentation`.

    Args:
        options: what changes.
        pixels: how pixels become inputs.
        specs: the label fields.
        shape: height and width of training images.
        swaps: of fields of points, which point stands at each place in a mirrored image, as left and right change.

    Raises:
        UserError: an option does not fit the fields or the number of channels.
    """

    def __init__(
        self,
        options: AugmentOptions,
        pixels: Pixels,
        specs: Mapping[str, FieldSpec],
        shape: tuple[int, int],
        swaps: Mapping[str, Sequence[int]] | None = None,
    ) -> None:
        self.options, self.pixels, self.swaps = options, pixels, swaps or {}
        if (options.rotation or options.quarter_turns) and shape[0] != shape[1]:
            raise UserError(
                f"Training images are {shape[1]}×{shape[0]}; quarter turns need square ones. Set a window: "
                f"tasks.NAME.dataset.crop={min(shape)}."
            )
        self.kinds = {name: spec.kind for name, spec in specs.items() if spec.kind in GEOMETRIC}
        self.copies = [name for name, spec in specs.items() if spec.kind == "image"]
        self.adds: Mapping[str, FieldSpec] = {TURN: FieldSpec("class", 4, TURNS, counts=())} if options.rotation else {}
        self.keeps_labels = not any(kind in MAPS for kind in self.kinds.values())
        if options.shear and "normals" in self.kinds.values():
            raise UserError(f"shear is {options.shear:g}, and normals cannot be sheared. Use shear=0.")
        if pixels.channels not in (1, 3) and (options.contrast or options.saturation or options.hue):
            raise UserError(
                f"Images have {pixels.channels} channels; contrast, saturation and hue need 1 or 3. Set them to 0."
            )

    def __call__(self, row: Sample) -> Sample:
        """Return a changed row: the image float32 [C, h, w], scaled."""
        from torchvision import tv_tensors

        image = image_of(row.inputs)
        parts: dict[str, Any] = {"": tv_tensors.Image(self.pixels.bright(image))}
        size = (image.shape[1], image.shape[2])
        parts |= {
            name: wrapped(row.fields[name], kind, size) for name, kind in self.kinds.items() if name in row.fields
        }
        parts, mirrored = self._flipped(parts)
        parts = self._placed(self._moved(parts))
        turn = int(torch.randint(4, ())) if self.options.quarter_turns or self.options.rotation else 0
        parts = {name: self._turned(name, part, turn) for name, part in parts.items()}
        clean = self._coloured(parts.pop(""))
        image = self._disturbed(clean)
        found = {name: self._unwrapped(name, part, row.fields[name], image.shape[1:]) for name, part in parts.items()}
        if mirrored:
            found |= {name: found[name][list(order)] for name, order in self.swaps.items() if name in found}
        added = {TURN: torch.tensor(turn)} if self.options.rotation else {}
        added |= dict.fromkeys(self.copies, self.pixels.standard(clean.as_subclass(Tensor)))
        inputs = with_image(row.inputs, self.pixels.standard(image.as_subclass(Tensor)))
        changed = Sample(inputs, {**row.fields, **found, **added})
        if self.options.window is not None:
            return changed
        return self.pixels.filled(changed, [*self.copies, *(name for name in found if self.kinds[name] in MAPS)])

    def _flipped(self, parts: dict[str, Any]) -> tuple[dict[str, Any], bool]:
        """Return flipped parts, and whether they are mirrored; two flips are half a turn."""
        from torchvision.transforms.v2 import functional as V

        mirrored = False
        for chance, flip, axis in ((self.options.flip, V.hflip, 0), (self.options.flip_vertical, V.vflip, 1)):
            if chance and float(torch.rand(())) < chance:
                turn = functools.partial(negated, axis=axis)
                parts = {name: self._bent(name, flip(part), turn) for name, part in parts.items()}
                mirrored = not mirrored
        return parts, mirrored

    def _moved(self, parts: dict[str, Any]) -> dict[str, Any]:
        from torchvision.transforms.v2 import InterpolationMode
        from torchvision.transforms.v2 import functional as V

        options = self.options
        if not options.moves:
            return parts
        low, high = options.zoom or (1.0, 1.0)
        zoom = math.exp(drawn(math.log(low), math.log(high)))
        angle, shear = drawn(-options.rotate, options.rotate), drawn(-options.shear, options.shear)
        height, width = parts[""].shape[-2:]
        shift = [round(drawn(-options.shift, options.shift) * side) for side in (width, height)]
        found = {}
        for name, part in parts.items():
            smooth = InterpolationMode.BILINEAR if not name else InterpolationMode.NEAREST
            moved = V.affine(
                part, angle=angle, translate=shift, scale=zoom, shear=[shear, 0.0], interpolation=smooth,
                fill=self._fill(name, part),
            )  # fmt: skip
            if self.kinds.get(name) == "depth":
                moved = like(moved.as_subclass(Tensor) / zoom, part)
            found[name] = self._bent(name, moved, lambda normals: rotated(normals, angle))
        return found

    def _placed(self, parts: dict[str, Any]) -> dict[str, Any]:
        from torchvision.transforms.v2 import functional as V

        window = self.options.window
        if window is None:
            return parts
        sizes = parts[""].shape[-2:]
        spare = [max(0, side - own) for side, own in zip(window, sizes, strict=True)]
        top, left = (int(torch.randint(max(0, own - side) + 1, ())) for side, own in zip(window, sizes, strict=True))
        above, before = (int(torch.randint(room + 1, ())) for room in spare)
        padding = [before, above, spare[1] - before, spare[0] - above]
        found = {}
        for name, part in parts.items():
            padded = V.pad(part, padding, fill=self._fill(name, part)) if any(spare) else part
            found[name] = V.crop(padded, top, left, *window)
        return found

    def _turned(self, name: str, part: Any, turn: int) -> Any:  # noqa: ANN401  a typed tensor
        if turn == 0:
            return part
        if not name or self.kinds[name] in MAPS:
            turned = like(torch.rot90(part.as_subclass(Tensor), -turn, (-2, -1)), part)
            return self._bent(name, turned, lambda normals: rotated(normals, 90.0 * turn))
        return quarter_turned(part, turn)

    def _coloured(self, image: "Image") -> "Image":
        from torchvision.transforms.v2 import functional as V

        options = self.options
        for size, change in (
            (options.brightness, V.adjust_brightness),
            (options.contrast, V.adjust_contrast),
            (options.saturation, V.adjust_saturation),
        ):
            if size:
                image = change(image, 1.0 + drawn(-size, size))
        if options.hue:
            image = V.adjust_hue(image, drawn(-options.hue, options.hue))
        return image

    def _disturbed(self, image: "Image") -> Tensor:
        from torchvision.transforms.v2 import functional as V

        options = self.options
        if options.noise:
            image = image + options.noise * torch.randn(image.shape)
        if options.erase and float(torch.rand(())) < options.erase:
            top, left, height, width = rectangle(image.shape[-2], image.shape[-1])
            image = V.erase(image, top, left, height, width, torch.tensor(self.pixels.mean).reshape(-1, 1, 1))
        return image

    def _fill(self, name: str, part: Tensor) -> Any:  # noqa: ANN401  what torchvision takes
        if not name:
            return list(self.pixels.mean)
        return MISSING_CLASS if not part.is_floating_point() else math.nan

    def _bent(self, name: str, part: Any, change: Any) -> Any:  # noqa: ANN401  a typed tensor and what turns vectors
        return like(change(part.as_subclass(Tensor)), part) if self.kinds.get(name) == "normals" else part

    def _unwrapped(self, name: str, part: Any, before: Tensor, size: Sequence[int]) -> Tensor:  # noqa: ANN401  a typed tensor
        kind, plain = self.kinds[name], part.as_subclass(Tensor)
        if kind == "boxes":
            return kept_boxes(boxes_around(plain), before[:, 4], size)
        if kind == "keypoints":
            return kept_points(plain[:, :2], before[:, 2], size)
        return plain


def wrapped(field: Tensor, kind: str, size: tuple[int, int]) -> Any:  # noqa: ANN401  a typed tensor of torchvision
    """Return what moves of a label field as the typed tensor that torchvision moves.

    A point is a box without area: torchvision's own points are numbers of pixels, so that a flip would move places in
    continuous coordinates by a pixel. A box is two lines through its centre, see `boxes_around`.
    """
    from torchvision import tv_tensors

    if kind in ("boxes", "keypoints"):
        corners = axes_of(field) if kind == "boxes" else field[:, [0, 1, 0, 1]]
        return tv_tensors.BoundingBoxes(corners, format="XYXY", canvas_size=size, clamping_mode=None)
    return tv_tensors.Mask(field)


def like(values: Tensor, part: Any) -> Any:  # noqa: ANN401  a typed tensor
    """Return values as a typed tensor of the type of `part`."""
    from torchvision import tv_tensors

    return tv_tensors.wrap(values, like=part)


def negated(normals: Tensor, axis: int) -> Tensor:
    """Return normals [3, H, W] with the component `axis` (0: x, 1: y) of the other sign."""
    signs = torch.ones(3, 1, 1)
    signs[axis] = -1.0
    return normals * signs


def rotated(normals: Tensor, degrees: float) -> Tensor:
    """Return normals [3, H, W] turned clockwise in the image, y pointing down."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    x, y, z = normals
    return torch.stack([cos * x - sin * y, sin * x + cos * y, z])


def kept_points(points: Tensor, visible: Tensor, size: Sequence[int]) -> Tensor:
    """Return points [K, 3] with their visibility; those outside an image of `size` (H, W) are not visible."""
    height, width = size
    inside = (points[:, 0] >= 0) & (points[:, 0] < width) & (points[:, 1] >= 0) & (points[:, 1] < height)
    return torch.cat([points, (visible * inside).unsqueeze(1)], dim=1)


def rectangle(height: int, width: int) -> tuple[int, int, int, int]:
    """Return a random rectangle inside an image: top, left, height and width."""
    (low, high), (flat, tall) = ERASED
    area = drawn(low, high) * height * width
    ratio = math.exp(drawn(math.log(flat), math.log(tall)))
    own = min(height, max(1, round(math.sqrt(area * ratio)))), min(width, max(1, round(math.sqrt(area / ratio))))
    top, left = (int(torch.randint(side - part + 1, ())) for side, part in zip((height, width), own, strict=True))
    return top, left, own[0], own[1]


def drawn(low: float, high: float) -> float:
    """Return a number drawn uniformly between two."""
    return low + (high - low) * float(torch.rand(()))
