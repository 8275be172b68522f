"""A folder of predictions that appears whole or not at all."""

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from mtl_cli.batch import Frame
from mtl_cli.errors import RunFailure, UserError
from mtl_cli.files import Temporary, sweep, sync_directory
from mtl_cli.runs.coco_boxes import CocoFolder
from mtl_cli.storage.file_writer import NewFolders, can_hold
from mtl_cli.tasks.base import Boxes


class PredictionFolder:
    """A new folder for files of predictions: images as PNG, arrays as .npy, and a table beside them.

    Args:
        path: the folder; it does not exist yet, or is empty.

    Raises:
        UserError: it holds something already, or cannot be made.
    """

    def __init__(self, path: Path) -> None:
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            what = "holds files already" if path.is_dir() else "is a file, and a task of this run writes images"
            raise UserError(f"output is {path}, which {what}. Give a new folder: output=DIR.")
        if not can_hold(path):
            raise UserError(f"output is {path}, which is not in a folder that can be written. Give another output=DIR.")
        self.path = path
        self._held = contextlib.ExitStack()

    def __enter__(self) -> Self:
        try:
            self._held.enter_context(NewFolders(self.path.absolute().parent))
            sweep(self.path.absolute().parent, self.path.name)
            self.temporary = self._held.enter_context(Temporary(self.path, folder=True)).path
            self._boxes = CocoFolder(self.temporary)
        except OSError as error:
            raise RunFailure(f"Cannot write {self.path}: {error.strerror}.") from error
        return self

    def table(self, suffix: str) -> Path:
        """Return where the table of predictions goes while the folder is made."""
        return self.temporary / f"table{suffix}"

    def write(self, files: "Mapping[str, np.ndarray[Any, Any] | str]") -> None:
        """Write files by their paths relative to the folder.

        .png from uint8 or uint16 images, .npy from any array, others from texts.

        Raises:
            RunFailure: the disk is full.
            UserError: a path leaves the folder.
        """
        for name, values in files.items():
            place = (self.temporary / name).resolve()
            if not place.is_relative_to(self.temporary.resolve()):
                raise UserError(f"The name of an input, {name}, would lead out of {self.path}. Rename it.")
            try:
                place.parent.mkdir(parents=True, exist_ok=True)
                if isinstance(values, str):
                    place.write_text(values, encoding="utf-8")
                elif place.suffix == ".npy":
                    np.save(place, values, allow_pickle=False)
                else:
                    write_image(place, values)
            except OSError as error:
                raise RunFailure(f"Cannot write {self.path / name}: {error.strerror or error}.") from error

    def write_boxes(self, names: Sequence[str], frames: Sequence[Frame], boxes: Mapping[str, Boxes]) -> None:
        """Append the boxes of images to the COCO file of each task.

        Raises:
            RunFailure: the disk is full.
        """
        try:
            self._boxes.add(names, frames, boxes)
        except OSError as error:
            raise RunFailure(f"Cannot write {self.path}: {error.strerror or error}.") from error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._boxes.finish()
                if self.path.exists():
                    self.path.rmdir()
                self.temporary.rename(self.path)
                sync_directory(self.path.absolute().parent)
        except OSError as failure:
            raise RunFailure(f"Cannot write {self.path}: {failure.strerror}.") from failure
        finally:
            self._boxes.close()
            self._held.close()


def write_image(path: Path, values: "np.ndarray[Any, Any]") -> None:
    """Write an image, uint8 or uint16 [H, W], or uint8 [H, W, 3], as PNG."""
    from PIL import Image

    assert values.dtype in (np.uint8, np.uint16), "what PNG holds"
    Image.fromarray(np.ascontiguousarray(values)).save(path)
