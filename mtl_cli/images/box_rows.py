"""Images with boxes as rows, and the images that annotations name."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mtl_cli.errors import UserError
from mtl_cli.images.pair_parts import below
from mtl_cli.tables.listing import Rows, split_named

MAX_ANNOTATIONS = 2**30
"""Bytes of the largest file of annotations that is read."""
Boxes = list[tuple[float, float, float, float, str]]
"""x, y, width and height in pixels, and the class."""


def told_size(height: Any, width: Any) -> tuple[int, int] | None:  # noqa: ANN401  what annotations hold
    """Return the size of an image as annotations tell it, or None where they do not; some tell 0×0."""
    try:
        size = int(height), int(width)
    except (TypeError, ValueError):
        return None
    return size if min(size) > 0 else None


def boxed_rows(placed: Sequence[tuple[str, Boxes]], names: Sequence[str]) -> Rows:
    """Return rows of images with their boxes and the number of boxes of each class.

    Raises:
        UserError: there is no image, or one comes twice.
    """
    if not placed:
        raise UserError("The annotations name no image.")
    paths = [path for path, _ in placed]
    if len(set(paths)) < len(paths):
        twice = next(path for path in paths if paths.count(path) > 1)
        raise UserError(f"The annotations name the image {twice} twice. Leave one out.")
    rows: Rows = []
    for path, boxes in placed:
        kinds = [box[4] for box in boxes]
        counts = {f"count_{name}": kinds.count(name) for name in names}
        rows.append({"image": path, "boxes": json.dumps(boxes, ensure_ascii=False), **counts})
    return rows


class MissingImageError(UserError):
    """An image that annotations name is not there."""


class ImageFinder:
    """Finds images by the names that annotations give: beside these, then in `images/`, then anywhere in the set.

    Args:
        folder: that of the set, which paths are relative to.
        beside: the folder of the annotations; None: that of the set.
        split: what the annotations are for: of images of one name, those in a folder that is called so are meant.
    """

    def __init__(self, folder: Path, beside: Path | None = None, split: str | None = None) -> None:
        self.folder, self.beside, self.split = folder, beside or folder, split
        self._below: dict[str, list[Path]] | None = None

    def path_of(self, name: str, asking: Path, stem: str | None = None) -> str:
        """Return the path of an image relative to the folder; `stem` is what else it may be called, without an ending.

        Raises:
            MissingImageError: there is none.
            UserError: there are two.
        """
        name = name.replace("\\", "/")
        for place in dict.fromkeys((self.beside, self.folder)):
            for file in (place / name, place / "images" / name, place / "JPEGImages" / name):
                if file.is_file():
                    return file.relative_to(self.folder).as_posix()
        if self._below is None:
            self._below = {}
            for file in below(self.folder):
                for known in (file.name, file.stem):
                    self._below.setdefault(known, []).append(file)
        found = self._below.get(Path(name).name, []) or self._below.get(stem or "", [])
        if len(found) > 1 and self.split:
            found = [file for file in found if self.split in map(split_named, file.relative_to(self.folder).parts)]
        if len(found) == 1:
            return found[0].relative_to(self.folder).as_posix()
        looked = f"looked for in {self.folder} and below."
        if not found:
            raise MissingImageError(f"{asking} names the image '{name}', which is not there: {looked}")
        where = f"is there {len(found)} times ({found[0]}, {found[1]})"
        raise UserError(f"{asking} names the image '{name}', which {where}: {looked}")
