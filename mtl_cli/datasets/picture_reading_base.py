"""New image files of a data source: a folder, a table or one image, read without labels."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from mtl_cli.datasets.reading_base import NewRows, Reading
from mtl_cli.errors import UserError
from mtl_cli.images.checking import inside
from mtl_cli.images.listings import list_images
from mtl_cli.images.new_images import ENDINGS, image_files
from mtl_cli.images.picture_rows import Pixels
from mtl_cli.tables.reading import ReadOptions


class PictureReading(Reading):
    """New images, named by their paths without the ending; neighbours of one size go through the model together.

    Args:
        path: what was asked for, for messages.
        folder: where the images lie.
        names: their paths, relative to the folder.
        pixels: how pixels become inputs.
        max_rows: images that go through the model at once.
    """

    unit = "image"

    def __init__(self, path: Path, folder: Path, names: Sequence[str], pixels: Pixels, max_rows: int) -> None:
        super().__init__(path)
        self._folder, self._names, self._pixels, self.max_rows = folder, list(names), pixels, max_rows

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
        limit = self._folder.resolve()
        for name in self._names:
            image, frame = self._pixels.read(inside(self._folder / name, limit))
            if waiting and (len(waiting) == size or (self._pixels.size is None and frame != waiting[0][2])):
                yield self._rows(waiting)
                waiting = []
            waiting.append((name, image, frame))
        if waiting:
            yield self._rows(waiting)

    def _rows(self, found: Sequence[tuple[str, Tensor, Any]]) -> NewRows:
        names, images, frames = zip(*found, strict=True)
        return NewRows(self._pixels.batch(images), list(names), frames=frames)


def new_images(path: Path, reading: ReadOptions, column: str) -> tuple[Path, list[str]]:
    """Return the folder of new images and their paths in it: those of a table, of annotations, or all in a folder.

    Raises:
        UserError: there are none, or a table has no column of images.
    """
    if path.is_dir() or path.suffix.lower() in ENDINGS:
        folder = path if path.is_dir() else path.parent
        return folder, [file.relative_to(folder).as_posix() for file in image_files(path)]
    file = list_images(path, reading, "auto")
    if column not in file.columns:
        raise UserError(f"{path} has no column '{column}' of images. Its columns: {', '.join(file.columns)}.")
    cells = [cell for _, batch in file.batches([column]) for cell in batch.column(0).to_pylist()]
    if empty := [number for number, cell in enumerate(cells, start=1) if not cell]:
        raise UserError(f"{path}, row {empty[0]}, column '{column}': there is no path of an image.")
    return path.parent, [str(cell) for cell in cells]
