"""Image files from a table, a folder of class folders, or COCO, Pascal VOC or YOLO annotations, with any labels."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mtl_cli.batch import IMAGE, InputPlace, InputSpec, Sample
from mtl_cli.bundles.encoders import PICTURE_ROWS
from mtl_cli.config.annotations import typed
from mtl_cli.datasets.base import Augmentation, Dataset
from mtl_cli.datasets.beside_base import (
    fit_beside,
    of_file,
    of_nothing,
    of_table,
    rows_beside,
    table_beside,
)
from mtl_cli.datasets.file_base import Maker, fitted
from mtl_cli.datasets.picture_columns_base import PictureColumns
from mtl_cli.datasets.picture_reading_base import PictureReading, files_read, given_images, new_images
from mtl_cli.datasets.reading_base import Reading
from mtl_cli.errors import UserError
from mtl_cli.images.augmentation import ImageAugmentation
from mtl_cli.images.checked_pixels import decode_all, decoded_bytes, measured
from mtl_cli.images.checking import Checked
from mtl_cli.images.new_images import ENDINGS
from mtl_cli.images.picture_fitting import fit_picture
from mtl_cli.images.picture_rows import PictureRows, Pixels, Source
from mtl_cli.images.picture_targets import PictureTarget, swaps_of
from mtl_cli.tables.arrow import pa
from mtl_cli.tables.given import GIVEN, Given
from mtl_cli.tables.opening import MEGABYTE
from mtl_cli.tables.store import Table
from mtl_cli.texts.beside import Beside, BesideRows
from mtl_cli.texts.tokenizer import TextTokenizer

MEASURED = 256
"""Training images whose pixels give mean and deviation."""


class Augmented(ImageAugmentation, Augmentation):
    """The augmentation of image files."""


class Images(PictureColumns):
    """Inputs: images float32 [B, C, H, W], scaled by the training images' mean and deviation.

    With table columns or texts beside them they are a mapping, of which the images are `image`.

    Labels are columns of the table, as in `Tabular`, or pictures and boxes (`mtl_cli.images.picture_targets`). Sets
    that fit into `memory_mb` are decoded once; others when they are drawn, where data.workers read ahead. Images are
    evaluated whole, those of one size together.
    """

    _pixels: Pixels | None = None
    _shape = (0, 0)
    _columns_beside: Beside | None = None

    def reading(self, path: Path) -> Reading:
        """Return the images of a folder or table, or one image."""
        beside = None
        if self._columns_beside is not None:
            if path.is_dir():
                path = table_beside(path, [self._options.image, *self._columns_beside.columns], self._reading) or path
            alone = path.is_dir() or path.suffix.lower() in ENDINGS
            beside = (
                of_nothing(self._columns_beside, path) if alone else of_file(self._columns_beside, self.reader(path))
            )
        place, names = new_images(path, self._reading, self._options.image, self._root, self._folder)
        pixels = fitted(self._pixels)
        return PictureReading(path, names, files_read(place, names, pixels), pixels, self.batch_size, beside)

    def reading_of(self, inputs: Given) -> Reading | None:
        """Return images in memory, or those that paths name: given alone, or in the column of images."""
        beside = None
        if self._columns_beside is not None and inputs.table is not None:
            beside = of_table(self._columns_beside, inputs.table, self._reading.notation, GIVEN)
        elif self._columns_beside is not None and inputs.sentences is None:
            beside = of_nothing(self._columns_beside, GIVEN)
        return given_images(inputs, self._options.image, fitted(self._pixels), self.batch_size, beside)

    def named_inputs(self) -> Mapping[str, Sequence[InputPlace]]:
        """Return where the image and the columns beside it lie in the inputs."""
        if self._columns_beside is None:
            return super().named_inputs()
        return {self._options.image: [InputPlace(IMAGE)], **self._columns_beside.places}

    @property
    def tokenizer(self) -> TextTokenizer | None:
        """What cuts texts beside images into pieces."""
        return (
            None
            if self._columns_beside is None or self._columns_beside.text is None
            else self._columns_beside.text.tokenizer
        )

    def preprocessing(self) -> dict[str, Any]:
        """Return how pixels become inputs; where columns stand beside images, only torch makes inputs of them."""
        pixels = fitted(self._pixels)
        size, column = None if pixels.size is None else list(pixels.size), self._options.image
        scale = {"mean": list(pixels.mean), "std": list(pixels.std), "floats": pixels.floats}
        kind = "pictures" if self._columns_beside is None else PICTURE_ROWS
        return {"kind": kind, "channels": pixels.channels, "size": size, "exact": None, "column": column, **scale}

    def given_rows(self, split: str, most: int) -> Given:
        """Return the paths of the images of a split, with the columns beside them."""
        found, rows = self.divide()[split]
        checked = self._check(found)
        rows = checked.usable(rows)[:most]
        paths = [str(checked.path_of(row)) for row in rows.tolist()]
        if self._columns_beside is None:
            return Given(strings=paths)
        columns = rows_beside(self._columns_beside, self._files[found.path], rows)
        return Given(table=columns.append_column(self._options.image, pa.array(paths)))

    def example(self) -> Sample:
        """Return two images of the size of training, with the mean colour."""
        images = torch.zeros(2, *self.input_spec.shape)
        return Sample(images if self._columns_beside is None else {IMAGE: images, **self._columns_beside.example()}, {})

    def input_state(self) -> dict[str, Any]:
        """Return how pixels become inputs, and the classes of pictures and boxes."""
        pixels = fitted(self._pixels)
        plain = {
            "channels": pixels.channels,
            "mean": list(pixels.mean),
            "std": list(pixels.std),
            "floats": pixels.floats,
        }
        pictures = {name: each.state() for name, each in self._pictures.items()}
        beside = {} if self._columns_beside is None else {"beside": self._columns_beside.state()}
        return {"pixels": plain, "shape": list(self._shape), "pictures": pictures, **beside}

    def load_inputs(self, state: Mapping[str, Any]) -> None:
        """Take over how pixels become inputs."""
        self._pixels = typed(Pixels, {**state["pixels"], "size": self._size})
        self._shape = tuple(state["shape"])
        self._pictures = {name: PictureTarget.of(each) for name, each in state["pictures"].items()}
        self._take(Beside.of(state["beside"]) if "beside" in state else None)
        self._texts = self._read_always

    def _take(self, beside: Beside | None) -> None:
        self._columns_beside, self._inputs = beside, None if beside is None else beside.table

    def keep_targets(self, fitted: Mapping[str, Any]) -> None:
        """Keep the fitted targets, and make the augmentation for all fields."""
        super().keep_targets(fitted)
        self.field_specs = {**self.field_specs, **{name: each.field_spec for name, each in self._pictures.items()}}
        assert self._pixels is not None, "pixels come first"
        self.field_specs |= {name: self._pixels.field_spec(self._shape) for name in self._copies}
        varies = self._size is None and self._augment.window is not None
        self.input_spec = InputSpec("image", (self._pixels.channels, *self._shape), any_size=varies)
        if self._columns_beside is not None:
            self.input_spec = self._columns_beside.spec_with(self.input_spec)
        if self._augment.any:
            flipped = bool(self._augment.flip or self._augment.flip_vertical)
            swaps = swaps_of(self._pictures.values(), flipped)
            self.augmentation = Augmented(self._augment, self._pixels, self.field_specs, self._shape, swaps)

    def fit(self, found: Table, rows: np.ndarray) -> None:
        """Fit the targets, the classes of pictures, and the mean and deviation of pixels."""
        checked = self._check(found)
        rows = checked.usable(rows)
        if not len(rows):
            raise UserError(f"{found.path} has no training image that can be used.")
        every = checked.usable(np.arange(len(checked.images)))
        self._pictures = {
            name: fit_picture(each, checked.cells_of(name, rows), checked.cells_of(name, every), checked.folder)
            for name, each in self._pictures.items()
        }
        channels = self._options.channels or max(checked.channels[row] for row in rows.tolist())
        mean, std = self._options.mean, self._options.std
        if mean is None or std is None:
            chosen = np.random.default_rng(0).permutation(rows)[:MEASURED]
            mean, std = measured(checked, chosen.tolist(), channels)
        if len(mean) != channels or len(std) != channels:
            raise UserError(f"mean and std have {len(mean)} and {len(std)} numbers for {channels} channels.")
        self._pixels = Pixels(channels, tuple(mean), tuple(std), self._size, checked.floats)
        self._shape = self._training_shape(checked, rows)
        file, folder = self._files[found.path], self._memory.path
        self._take(fit_beside(self._columns, self._tokenizing, self._chosen, file, found, rows, folder))
        self.fit_targets(found, rows)

    @property
    def _size(self) -> tuple[int, int] | None:
        size = self._options.size
        return None if size is None else (size[0], size[1])

    def _training_shape(self, checked: Checked, rows: np.ndarray) -> tuple[int, int]:
        """Return height and width of a training image as an input.

        Raises:
            UserError: they differ, so that no batch can hold them.
        """
        if self._augment.window or self._size:
            return self._augment.window or fitted(self._size)
        sizes = {checked.sizes[row] for row in rows.tolist()}
        if len(sizes) > 1:
            (low, high) = min(sizes), max(sizes)
            raise UserError(
                f"{checked.path} has images of {len(sizes)} sizes, such as {low[1]}×{low[0]} and {high[1]}×{high[0]}. "
                "Set a window (tasks.NAME.dataset.crop=128) for labels of pixels or boxes, or one size "
                "(tasks.NAME.dataset.size=[96,96]) for labels of whole images."
            )
        return sizes.pop()

    def encode(self, found: Table) -> Maker:
        """Return what makes a dataset of some images."""
        checked, labels = self._check(found), self.label_fields(found)
        source = Source(checked.folder, checked.images, checked.cells, self._pictures, fitted(self._pixels))
        beside = None
        if self._columns_beside is not None:
            beside = BesideRows(self._columns_beside, self._files[found.path], found, self._memory.path)
        fits = decoded_bytes(checked, source) <= self._memory.memory_mb * MEGABYTE

        def make(given: np.ndarray) -> Dataset:
            rows = checked.usable(given)
            if len(given) and not len(rows):
                raise UserError(f"{found.path}: a split has {len(given)} images, none of which can be used.")
            kept = decode_all(source, rows, checked) if fits else None
            at = torch.from_numpy(rows)
            fields = {name: field.index_select(0, at) for name, field in labels.items()}
            alike = None if self._size else torch.tensor([checked.size_number(row) for row in rows.tolist()])
            return PictureRows(source, rows, fields, self.field_specs, kept, alike, self._copies, beside)

        return make
