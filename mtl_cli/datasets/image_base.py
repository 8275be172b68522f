"""What datasets of labelled images have in common: packaged or official files, read when the source is built."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence, Sized
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from mtl_cli.batch import FieldSpec, InputSpec, Sample, Split, WantedField
from mtl_cli.datasets.base import Dataset, DataSource, checked_batch_size
from mtl_cli.datasets.reading_base import NewRows, Reading
from mtl_cli.errors import UserError
from mtl_cli.images.new_images import ENDINGS, checked_pixels, image_files, name_of, read_image, read_pixels
from mtl_cli.images.official_files import SOURCES, official_files, official_root
from mtl_cli.images.packaged import FOLDER
from mtl_cli.images.picture_rows import Pixels
from mtl_cli.images.rows import MemoryDataset
from mtl_cli.images.splits import Rows
from mtl_cli.tables.given import GIVEN, Given


class ImageReading(Reading):
    """New images, named by their files' paths without the ending, or by their numbers in an array.

    Args:
        path: a folder of image files, one of them, or a .npy file uint8 [N, H, W] or [N, C, H, W]; or `GIVEN`.
        shape: what an image must be, [C, H, W].
        mean: mean of each channel, on a scale where white is 1.
        std: standard deviation of each channel, on that scale.
        max_rows: images that go through the model at once.
        inputs: images in memory, or paths of them, in place of the path.

    Raises:
        UserError: there is no image, or the array is of another shape or type.
    """

    into_folder = True

    def __init__(
        self,
        path: Path,
        shape: tuple[int, int, int],
        mean: Sequence[float],
        std: Sequence[float],
        max_rows: int,
        inputs: Given | None = None,
    ) -> None:
        super().__init__(path)
        self.shape, self._mean, self._std, self.max_rows = shape, mean, std, max_rows
        self.array: np.ndarray[Any, Any] | None = None
        self.files: list[Path] = []
        if inputs is not None:
            self.array = None if inputs.arrays is None else checked_pixels(inputs.arrays, shape)
            self.files = [Path(name) for name in inputs.strings or ()]
        elif path.suffix.lower() == ".npy":
            self.array = read_pixels(path, shape)
        else:
            self.files = image_files(path)

    @property
    def num_rows(self) -> int:
        """Number of images."""
        return len(self.files) if self.array is None else len(self.array)

    @property
    def columns(self) -> Sequence[str]:
        """The image's name."""
        return ("image",)

    def batches(self, size: int) -> Iterator[NewRows]:
        """Yield the images, at most `size` at a time, scaled as in training."""
        for start in range(0, self.num_rows, size):
            if self.array is None:
                files = self.files[start : start + size]
                pixels = torch.stack([read_image(file, self.shape) for file in files])
                names = [name_of(file, self.path) for file in files] if self.path != GIVEN else numbers(start, files)
            else:
                pixels = torch.from_numpy(self.array[start : start + size])
                names = numbers(start, pixels)
            rows = MemoryDataset(pixels, {}, self._mean, self._std)
            yield NewRows(rows.__getitems__(torch.arange(len(pixels))).inputs, names)


def numbers(start: int, rows: Sized) -> list[str]:
    """Return the numbers of rows from `start` as names."""
    return [str(start + k) for k in range(len(rows))]


class OneSize(DataSource):
    """Images of one shape with fixed fields, and with the images themselves as fields where a task asks for them."""

    shape: tuple[int, int, int]
    """Shape of an image, [C, H, W]."""
    mean: tuple[float, ...]
    """Mean of each channel, on a scale where white is 1."""
    std: tuple[float, ...]
    """Standard deviation of each channel, on that scale."""
    _copies: Sequence[str] = ()

    @abstractmethod
    def images(self, name: str) -> Split:
        """Return the images of "train", "val" or "test" with their fixed fields."""

    def split(self, name: str) -> Dataset:
        """Return the rows of "train", "val" or "test"."""
        return with_images(self.images(name), self._copies)

    def want(self, fields: Sequence[WantedField]) -> None:
        """Take note of fields that are to hold the images themselves; the others are fixed."""
        super().want(fields)
        self._copies = image_fields(fields)
        spec = Pixels(self.shape[0], self.mean, self.std).field_spec(self.shape[1:])
        self.field_specs = {**self.field_specs, **dict.fromkeys(self._copies, spec)}

    def reads(self, path: Path) -> bool:
        """Return True for image files, folders of them, and .npy files of pixels."""
        return path.is_dir() or path.suffix.lower() in (*ENDINGS, ".npy")

    def reading(self, path: Path) -> Reading:
        """Return new images, which must have the size and channels of this source."""
        return ImageReading(path, self.shape, self.mean, self.std, self.batch_size)

    def reading_of(self, inputs: Given) -> Reading | None:
        """Return images in memory, or those that paths name."""
        if inputs.arrays is None and inputs.strings is None:
            return None
        return ImageReading(GIVEN, self.shape, self.mean, self.std, self.batch_size, inputs)

    def preprocessing(self) -> dict[str, Any]:
        """Return the shape of an image and how pixels become inputs."""
        channels, *exact = self.shape
        scale = {"mean": list(self.mean), "std": list(self.std)}
        return {"kind": "pictures", "channels": channels, "size": None, "exact": exact, "column": None, **scale}


class ImageSource(OneSize):
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
    fields: ClassVar[Sequence[str]] = ("label",)
    """Names of the label fields."""
    class_names: ClassVar[tuple[str, ...]]
    """Names of the classes of every field, where they are the same."""

    official: ClassVar[str | None] = None
    """Name of its official files in `mtl_cli.images.official_files`."""
    packaged: ClassVar[str | None] = None
    """Name of its packaged file."""

    def __init__(self, source: str, root: str | None, batch_size: int) -> None:
        self.batch_size = checked_batch_size(batch_size)
        self._root = official_root(self.name, source, root, self.sources)
        splits = self.read(self._root)
        self.input_spec = InputSpec("image", self.shape)
        names = {field: self.names_of(field) for field in self.fields}
        self.field_specs = {field: FieldSpec("class", len(own), own) for field, own in names.items()}
        self._splits = {
            split: MemoryDataset(*self.labelled(rows, split), self.mean, self.std) for split, rows in splits.items()
        }

    def files(self) -> Mapping[str, Sequence[Path]]:
        """Return the official files, or the packaged one, under the name "images"."""
        if self._root is not None:
            return {"images": official_files(self.official, self._root)} if self.official else {}
        return {"images": [FOLDER / self.packaged]} if self.packaged else {}

    @abstractmethod
    def read(self, folder: Path | None) -> Mapping[str, Rows]:
        """Return the images and their classes by split, from official files in `folder`, or packaged ones for None."""

    def names_of(self, field: str) -> tuple[str, ...]:
        """Return the names of the classes of a field, once the files are read."""
        return self.class_names

    def labelled(self, rows: Rows, split: str) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Return the images uint8 [N, C, H, W] of a split and their labels int64 [N] by field."""
        return rows.images, {"label": rows.labels}

    def given_rows(self, split: str, most: int) -> Given:
        """Return the images of a split."""
        return Given(arrays=self._splits[split].images[:most].numpy())

    def images(self, name: str) -> Split:
        """Return the images of a split."""
        return self._splits[name]


def image_fields(fields: Sequence[WantedField]) -> list[str]:
    """Return the names of the fields that are to hold the images themselves, as a `Reconstruction` asks.

    Raises:
        UserError: a task says how such a field is read.
    """
    wanted = [each for each in fields if each.kind == "image"]
    problems = [
        f"tasks.{each.task}.{key} says how a label is read, and its target is the image itself. Leave it out: "
        f"~tasks.{each.task}.{key}."
        for each in wanted
        for key in each.reading
    ]
    if problems:
        raise UserError(problems)
    return [each.name for each in wanted]


def with_images(rows: Split, fields: Sequence[str]) -> Split:
    """Return rows with the inputs as further fields; the same rows where none is asked for."""
    return WithImages(rows, fields) if fields else rows


class WithImages(Split):
    """Images of one size with the images themselves as label fields.

    Args:
        rows: the images and their other fields.
        fields: the names of the fields that hold the images.
    """

    def __init__(self, rows: Split, fields: Sequence[str]) -> None:
        self.rows, self.fields = rows, tuple(fields)

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.rows)

    def __getitems__(self, indices: Tensor) -> Sample:
        """Return the rows at `indices` [B]."""
        found = self.rows.__getitems__(indices)
        assert isinstance(found.inputs, Tensor)
        return Sample(found.inputs, {**found.fields, **dict.fromkeys(self.fields, found.inputs)})

    def fields_of(self, indices: Tensor, names: Sequence[str]) -> Mapping[str, Tensor]:
        """Return label fields of the rows at `indices` [B]; only images read inputs."""
        if not set(self.fields) & set(names):
            return self.rows.fields_of(indices, names)
        return self.__getitems__(indices).fields

    def to(self, device: torch.device) -> "WithImages":
        """Return the same rows on `device`."""
        return WithImages(self.rows.to(device), self.fields)
