"""Predicted boxes of a folder of images as one COCO file per task, written image by image."""

import contextlib
import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from mtl_cli.batch import Frame
from mtl_cli.tasks.predictions_base import Boxes

DIGITS = 3
"""Digits behind the point of a coordinate, in pixels."""


class CocoFile:
    """A file of COCO that is written as images come; memory does not grow with their number.

    Boxes are cut at the border of their image. `bbox` is x, y, width, height in pixels of the image's file.

    Args:
        path: the file.
        class_names: names of the classes, whose categories are numbered from 1.
    """

    def __init__(self, path: Path, class_names: Sequence[str]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._images: IO[str] = path.open("w", encoding="utf-8")
        self._boxes: IO[str] = path.with_suffix(".part").open("w+", encoding="utf-8")
        categories = [{"id": number, "name": name} for number, name in enumerate(class_names, start=1)]
        self._images.write(f'{{"categories": {json.dumps(categories, ensure_ascii=False)},\n"images": [')
        self._image_ids, self._box_ids = itertools.count(1), itertools.count(1)

    def add(self, name: str, frame: Frame | None, boxes: Any) -> None:  # noqa: ANN401  an array [N, 6]
        """Append an image, by its path relative to the input, with its boxes: x₁, y₁, x₂, y₂, score, class."""
        number = next(self._image_ids)
        entry: dict[str, Any] = {"id": number, "file_name": name}
        if frame is not None:
            entry |= {"height": frame.file[0], "width": frame.file[1]}
        self._images.write(_line(entry, number == 1))
        for left, top, right, bottom, score, kind in boxes.tolist():
            if frame is not None:
                left, right = (min(max(x, 0.0), frame.file[1]) for x in (left, right))
                top, bottom = (min(max(y, 0.0), frame.file[0]) for y in (top, bottom))
            box = [round(value, DIGITS) for value in (left, top, right - left, bottom - top)]
            if box[2] <= 0 or box[3] <= 0:
                continue
            own = next(self._box_ids)
            found = {"id": own, "image_id": number, "category_id": int(kind) + 1, "bbox": box}
            found |= {"score": round(score, 5), "area": round(box[2] * box[3], DIGITS), "iscrowd": 0}
            self._boxes.write(_line(found, own == 1))

    def finish(self) -> None:
        """Put the parts together."""
        self._images.write('\n],\n"annotations": [')
        self._boxes.seek(0)
        for line in self._boxes:
            self._images.write(line)
        self._images.write("\n]}\n")
        self._images.close()
        Path(self._boxes.name).unlink()

    def close(self) -> None:
        """Close what is open, also of a file that is not finished."""
        with contextlib.suppress(OSError):  # a full disk was told before
            self._images.close()
            self._boxes.close()


class CocoFolder:
    """The COCO files of all tasks with boxes, `<task>/boxes.json` in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, CocoFile] = {}

    def add(self, names: Sequence[str], frames: Sequence[Frame], boxes: Mapping[str, Boxes]) -> None:
        """Append the images `names` with the boxes of each task."""
        for task, found in boxes.items():
            if task not in self._files:
                self._files[task] = CocoFile(self._folder / task / "boxes.json", found.class_names)
            for row, own in enumerate(found.rows):
                self._files[task].add(names[row], frames[row] if frames else None, own)

    def finish(self) -> None:
        """Put the files together."""
        for file in self._files.values():
            file.finish()

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            file.close()


def _line(entry: Mapping[str, Any], first: bool) -> str:
    return f"{'' if first else ','}\n{json.dumps(entry, ensure_ascii=False)}"
