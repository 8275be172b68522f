"""New image files of a data source: a folder, a table or one image, read without labels."""

import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from mtl_cli.batch import IMAGE, Values, image_of
from mtl_cli.datasets.beside_base import NewBeside
from mtl_cli.datasets.reading_base import NewRows, Reading
from mtl_cli.errors import UserError
from mtl_cli.images.decoding import given_image, several_images
from mtl_cli.images.listings import list_images
from mtl_cli.images.new_images import ENDINGS, image_files
from mtl_cli.images.pairs import label_images
from mtl_cli.images.picture_rows import Pixels
from mtl_cli.images.resizing import Frame
from mtl_cli.tables.given import GIVEN, Given
from mtl_cli.tables.named_files import Place, place_of_new
from mtl_cli.tables.paths import inside
from mtl_cli.tables.reading import ReadOptions, require_columns

logger = logging.getLogger("mtl_cli")
Read = Callable[[int], tuple[Tensor, Frame]]


class PictureReading(Reading):
    """New images by their names; neighbours of one size go through the model together.

    Args:
        path: what was asked for, for messages.
        names: their paths relative to a folder, or their numbers.
        read: returns an image, by its place among the names, as it is decoded and how it lies in the input.
        pixels: how pixels become inputs.
        max_rows: images that go through the model at once.
        beside: makes the columns that stand beside the images; None where these stand alone.
    """

    unit = "image"
    into_folder = True

    def __init__(
        self,
        path: Path,
        names: Sequence[str],
        read: Read,
        pixels: Pixels,
        max_rows: int,
        beside: NewBeside | None = None,
    ) -> None:
        super().__init__(path)
        self._names, self._read, self._pixels, self.max_rows = list(names), read, pixels, max_rows
        self._beside = beside

    @property
    def num_rows(self) -> int:
        """Number of images."""
        return len(self._names)

    @property
    def columns(self) -> Sequence[str]:
        """The image's name."""
        return ("image",)

    def batches(self, size: int) -> Iterator[NewRows]:
        """Yield the images in order, at most `size` at a time and of one size."""
        waiting: list[tuple[str, Tensor, Any]] = []
        for place, name in enumerate(self._names):
            image, frame = self._read(place)
            if waiting and (len(waiting) == size or (self._pixels.size is None and frame != waiting[0][2])):
                yield self._rows(waiting, place)
                waiting = []
            waiting.append((name, image, frame))
        if waiting:
            yield self._rows(waiting, len(self._names))

    def _rows(self, found: Sequence[tuple[str, Tensor, Any]], stop: int) -> NewRows:
        names, images, frames = zip(*found, strict=True)
        inputs: Values = self._pixels.batch(images)
        if self._beside is not None:
            inputs = {IMAGE: image_of(inputs), **self._beside(stop - len(found), len(found))}
        return NewRows(inputs, list(names), frames=frames)


def files_read(place: Place, names: Sequence[str], pixels: Pixels) -> Read:
    """Return what reads images by their paths in a place, which they may not leave."""
    limit = place.limit.resolve()
    return lambda row: pixels.read(inside(place.folder / names[row], limit))


def given_images(
    inputs: Given, column: str, pixels: Pixels, max_rows: int, beside: NewBeside | None = None
) -> PictureReading | None:
    """Return images in memory, or those that paths name: given alone, or in a `column` of rows.

    Raises:
        UserError: rows have no such column, or lack a path.
    """
    read: Read
    if inputs.arrays is not None:
        images = several_images(inputs.arrays, pixels.channels, str(GIVEN))
        read = lambda place: pixels.fitted(  # noqa: E731
            given_image(images[place], pixels.channels, f"{GIVEN}, row {place + 1},")
        )
    elif inputs.strings is not None or inputs.table is not None:
        paths = inputs.strings if inputs.strings is not None else path_cells(inputs, column)
        read = lambda place: pixels.read(Path(paths[place]))  # noqa: E731
    else:
        return None
    return PictureReading(GIVEN, [str(number) for number in range(inputs.num_rows)], read, pixels, max_rows, beside)


def path_cells(inputs: Given, column: str) -> list[str]:
    """Return the paths in a column of rows.

    Raises:
        UserError: there is no such column, or a cell is empty.
    """
    assert inputs.table is not None
    require_columns([column], inputs.table.column_names, GIVEN)
    cells = inputs.table.column(column).to_pylist()
    if empty := [number for number, cell in enumerate(cells, start=1) if not cell]:
        raise UserError(f"{GIVEN}, row {empty[0]}, column '{column}': there is no path of an image.")
    return [str(cell) for cell in cells]


def new_images(
    path: Path, reading: ReadOptions, column: str, root: str | None = None, folder: str | None = None
) -> tuple[Place, list[str]]:
    """Return the place of new images and their paths in it: those of a table, of annotations, or all in a folder.

    Of a folder of images with label images of the same names, it is the images alone, which is said.

    Raises:
        UserError: there are none, or a table has no column of images.
    """
    if path.is_dir() or path.suffix.lower() in ENDINGS:
        own = path if path.is_dir() else path.parent
        labels = label_images(path) if path.is_dir() else set()
        files = [file for file in image_files(path) if file not in labels]
        if labels:
            logger.warning("%s: %d label images of the same names are not predicted.", path, len(labels))
        return Place(own, own), [file.relative_to(own).as_posix() for file in files]
    file = list_images(path, reading, "auto")
    if column not in file.columns:
        raise UserError(f"{path} has no column '{column}' of images. Its columns: {', '.join(file.columns)}.")
    cells = [cell for _, batch in file.batches([column]) for cell in batch.column(0).to_pylist()]
    if empty := [number for number, cell in enumerate(cells, start=1) if not cell]:
        raise UserError(f"{path}, row {empty[0]}, column '{column}': there is no path of an image.")
    return place_of_new(file, column, root, folder), [str(cell) for cell in cells]
