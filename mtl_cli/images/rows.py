"""One split of an image dataset that is held in memory."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from mtl_cli.batch import LabelledSplit, Sample


class MemoryDataset(LabelledSplit):
    """Images uint8 [N, C, H, W] and label fields int64 [N], fetched as float32 images (pixel / 255 - mean) / std.

    Args:
        images: the pixels.
        fields: the labels, by field.
        mean: mean of each channel [C], on a scale where white is 1.
        std: standard deviation of each channel [C], on that scale.
    """

    fixed_size: ClassVar[bool] = True

    def __init__(
        self, images: Tensor, fields: Mapping[str, Tensor], mean: Sequence[float], std: Sequence[float]
    ) -> None:
        assert images.dtype == torch.uint8
        assert images.ndim == 4
        assert images.shape[1] == len(mean) == len(std)
        assert all(len(field) == len(images) for field in fields.values())
        self.images, self.fields = images, dict(fields)
        self.mean, self.std = tuple(mean), tuple(std)
        spread = torch.tensor(self.std, dtype=torch.float64)
        shift = -torch.tensor(self.mean, dtype=torch.float64) / spread
        self._scale = (1 / (255 * spread)).float().reshape(-1, 1, 1).to(images.device)  # [C, 1, 1]
        self._shift = shift.float().reshape(-1, 1, 1).to(images.device)  # [C, 1, 1]

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.images)

    def __getitems__(self, indices: Tensor) -> Sample:
        """Return the rows at `indices` [B], in that order: images float32 [B, C, H, W]."""
        indices = indices.to(self.images.device)
        pixels = self.images.index_select(0, indices).float()
        images = torch.addcmul(self._shift, pixels, self._scale, out=pixels)
        return Sample(images, {name: field.index_select(0, indices) for name, field in self.fields.items()})

    def labels(self, field: str) -> Tensor:
        """Return all labels of a field [N], on the host."""
        return self.fields[field].cpu()

    def to(self, device: torch.device) -> "MemoryDataset":
        """Return the same rows with all tensors on `device`."""
        fields = {name: field.to(device) for name, field in self.fields.items()}
        return MemoryDataset(self.images.to(device), fields, self.mean, self.std)
