"""What datasets of labelled images have in common: packaged or official files, read when the source is built."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from torch import Tensor

from mtl_cli.batch import FieldSpec, InputSpec
from mtl_cli.datasets.base import Dataset, DataSource, checked_batch_size
from mtl_cli.images.official_files import SOURCES, official_root
from mtl_cli.images.rows import MemoryDataset
from mtl_cli.images.splits import Rows


class ImageSource(DataSource):
    """Images that are held in memory, with fields of classes.

    Args:
        source: "packaged", the copy inside the package where there is one, or "torchvision", the official files.
        root: folder of the official files, in torchvision's layout; only with source "torchvision".
        batch_size: samples drawn per step.

    Raises:
        UserError: an option does not fit, or a file is missing or damaged.
    """

    name: ClassVar[str]
    """Stem of its YAML in conf/dataset, for messages."""
    sources: ClassVar[Sequence[str]] = SOURCES
    """Where the images may come from."""
    shape: ClassVar[tuple[int, int, int]]
    """Shape of an image, [C, H, W]."""
    mean: ClassVar[tuple[float, ...]]
    """Mean of each channel, on a scale where white is 1."""
    std: ClassVar[tuple[float, ...]]
    """Standard deviation of each channel, on that scale."""
    fields: ClassVar[Sequence[str]] = ("label",)
    """Names of the label fields."""
    class_names: ClassVar[tuple[str, ...]]
    """Names of the classes, which are those of every field."""

    def __init__(self, source: str, root: str | None, batch_size: int) -> None:
        self.batch_size = checked_batch_size(batch_size)
        splits = self.read(official_root(self.name, source, root, self.sources))
        self.input_spec = InputSpec("image", self.shape)
        self.field_specs = dict.fromkeys(self.fields, FieldSpec("class", len(self.class_names), self.class_names))
        self._splits = {
            split: MemoryDataset(*self.labelled(rows, split), self.mean, self.std) for split, rows in splits.items()
        }

    @abstractmethod
    def read(self, folder: Path | None) -> Mapping[str, Rows]:
        """Return the images and their classes by split, from a folder of official files, or packaged ones for None."""

    def labelled(self, rows: Rows, split: str) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Return the images uint8 [N, C, H, W] of a split and their labels int64 [N] by field."""
        return rows.images, {"label": rows.labels}

    def split(self, name: str) -> Dataset:
        """Return the rows of "train", "val" or "test"."""
        return self._splits[name]
