"""New image files of a data source: a folder, a table or one image, read without labels."""

import contextlib
import functools
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from mtl_cli.batch import IMAGE, Values, image_of
from mtl_cli.datasets.beside_base import NewBeside
from mtl_cli.datasets.reading_base import NewRows, Reading
from mtl_cli.errors import UserError
from mtl_cli.images.box_cells import is_path
from mtl_cli.images.decoding import given_image, several_images
from mtl_cli.images.listings import list_images
from mtl_cli.images.new_images import ENDINGS, image_files
from mtl_cli.images.pairs import label_images
from mtl_cli.images.picture_rows import Pixels
from mtl_cli.images.resizing import Frame
from mtl_cli.tables.given import GIVEN, Given
from mtl_cli.tables.named_files import Place, place_of_new
from mtl_cli.tables.paths import inside
from mtl_cli.tables.reading import SUFFIXES, ReadOptions, TableFile, require_columns

logger = logging.getLogger("mtl_cli")
SHOWN = 10
"""Images that a message lists."""
Read = Callable[[int], tuple[Tensor, Frame]]


class PictureReading(Reading):
    """New images by their names; neighbours of one size go through the model together.

    At the first image that cannot be read the others are looked at too, and all that cannot are one error.

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
        self.names, self._read, self._pixels, self.max_rows = list(names), read, pixels, max_rows
        self._beside = beside
        self._skip = False

    @property
    def uneven(self) -> bool:
        """Whether batches end where the size of images changes."""
        return self._pixels.size is None

    def leave_out_bad(self) -> None:
        """Leave out images that cannot be read, and say which they are."""
        self._skip = True

    @property
    def num_rows(self) -> int:
        """Number of images."""
        return len(self.names)

    @property
    def columns(self) -> Sequence[str]:
        """The image's name."""
        return ("image",)

    def batches(self, size: int) -> Iterator[NewRows]:
        """Yield the images in order, at most `size` at a time and of one size."""
        waiting: list[tuple[str, Tensor, Any]] = []
        problems: list[str] = []
        for place, name in enumerate(self.names):
            try:
                image, frame = self._read(place)
            except UserError as error:
                problems += error.problems
                if waiting and self._skip:
                    yield self._rows(waiting, place)
                waiting = []
                continue
            if problems and not self._skip:
                continue
            if waiting and (len(waiting) == size or (self._pixels.size is None and frame != waiting[0][2])):
                yield self._rows(waiting, place)
                waiting = []
            waiting.append((name, image, frame))
        if waiting:
            yield self._rows(waiting, len(self.names))
        if problems:
            self._tell(problems)

    def _tell(self, problems: Sequence[str]) -> None:
        """Say which images cannot be read.

        Raises:
            UserError: they are not to be left out, or there is no other.
        """
        counted = f"{len(problems)} of {len(self.names)} images"
        if not self._skip or len(problems) == len(self.names):
            way = [] if self._skip else [f"{counted} cannot be read. skip_bad=true leaves them out and names them."]
            raise UserError([*problems[:SHOWN], *way])
        more = ", …" if len(problems) > SHOWN else ""
        logger.warning("%s: left out %s: %s%s", self.path, counted, " ".join(problems[:SHOWN]), more)

    def _rows(self, found: Sequence[tuple[str, Tensor, Any]], stop: int) -> NewRows:
        names, images, frames = zip(*found, strict=True)
        inputs: Values = self._pixels.batch(images)
        if self._beside is not None:
            inputs = {IMAGE: image_of(inputs), **self._beside(stop - len(found), len(found))}
        return NewRows(inputs, list(names), frames=frames)


def files_read(place: Place, names: Sequence[str], pixels: Pixels) -> Read:
    """Return what reads images by their paths in a place, which they may not leave; an empty path is an error."""
    limit = place.limit.resolve()

    def read(row: int) -> tuple[Tensor, Frame]:
        if not names[row]:
            raise UserError(f"Row {row + 1} names no image.")
        return pixels.read(inside(place.folder / names[row], limit))

    return read


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
        read = functools.partial(given_array, images, pixels)
    elif inputs.strings is not None or inputs.table is not None:
        paths = inputs.strings if inputs.strings is not None else path_cells(inputs, column)
        read = lambda place: pixels.read(Path(paths[place]))  # noqa: E731
    else:
        return None
    return PictureReading(GIVEN, [str(number) for number in range(inputs.num_rows)], read, pixels, max_rows, beside)


def given_array(images: "Sequence[Any] | np.ndarray[Any, Any]", pixels: Pixels, place: int) -> tuple[Tensor, Frame]:
    """Return the image at a place in memory, as it is decoded, and how it lies in the input."""
    name = f"{GIVEN}, row {place + 1},"
    return pixels.fitted(given_image(images[place], pixels.channels, name), name)


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


def named_labels(folder: Path, reading: ReadOptions, column: str) -> set[Path]:
    """Return the files that tables of a folder name in further columns than that of images."""
    found = set[Path]()
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in SUFFIXES or not path.is_file():
            continue
        with contextlib.suppress(UserError):  # not a table of this set
            file = TableFile(path, reading)
            names = [name for name in file.columns if name != column]
            for _, batch in file.batches(names) if column in file.columns and names else ():
                for cells in batch.columns:
                    paths = [cell for cell in cells.to_pylist() if cell is not None]
                    if all(isinstance(cell, str) and is_path(cell) for cell in paths):
                        found |= {folder / cell for cell in paths}
    return found


def new_images(
    path: Path, reading: ReadOptions, column: str, root: str | None = None, folder: str | None = None
) -> tuple[Place, list[str]]:
    """Return the place of new images and their paths in it: those of a table, of annotations, or all in a folder.

    Label images are left out of a folder, which is said: those of the names of images, and those that a table in the
    folder names beside its images.

    Raises:
        UserError: there are none, or a table has no column of images.
    """
    if path.is_dir() or path.suffix.lower() in ENDINGS:
        own = path if path.is_dir() else path.parent
        labels = label_images(path) | named_labels(path, reading, column) if path.is_dir() else set()
        every = image_files(path)
        files = [file for file in every if file not in labels]
        if len(files) < len(every):
            logger.warning("%s: %d label images are not predicted.", path, len(every) - len(files))
        return Place(own, own), [file.relative_to(own).as_posix() for file in files]
    file = list_images(path, reading, "auto")
    if column not in file.columns:
        raise UserError(f"{path} has no column '{column}' of images. Its columns: {', '.join(file.columns)}.")
    names = [str(cell or "") for _, batch in file.batches([column]) for cell in batch.column(0).to_pylist()]
    return place_of_new(file, column, root, folder), names
