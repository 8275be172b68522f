"""A folder of predictions that appears whole or not at all."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mtl_cli.batch import Frame
from mtl_cli.errors import RunFailure, UserError
from mtl_cli.runs.coco_boxes import CocoFolder
from mtl_cli.storage.new_folder import NewFolder
from mtl_cli.tasks.predictions_base import Boxes


class PredictionFolder(NewFolder):
    """A new folder for files of predictions: images as PNG, arrays as .npy, and a table beside them.

    Args:
        path: the folder; it does not exist yet, or is empty.

    Raises:
        UserError: it holds something already, or cannot be made.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, "these predictions go into a folder")

    def begin(self) -> None:
        """Begin the files of boxes."""
        self._boxes = CocoFolder(self.temporary)

    def finish(self) -> None:
        """Finish the files of boxes."""
        self._boxes.finish()

    def close(self) -> None:
        """Close the files of boxes."""
        self._boxes.close()

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


def write_image(path: Path, values: "np.ndarray[Any, Any]") -> None:
    """Write an image, uint8 or uint16 [H, W], or uint8 [H, W, 3], as PNG."""
    from PIL import Image

    assert values.dtype in (np.uint8, np.uint16), "what PNG holds"
    Image.fromarray(np.ascontiguousarray(values)).save(path)
