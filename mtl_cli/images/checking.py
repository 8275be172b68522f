"""A set of image files looked at before training: which can be used, how large they are, what is wrong."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mtl_cli.errors import UserError
from mtl_cli.images.box_cells import box_problem, boxes_in, is_path
from mtl_cli.images.coco_points import tell_once
from mtl_cli.images.decoding import decode_image, decode_labels, decode_numbers, read_header
from mtl_cli.images.picture_labels import picture_files
from mtl_cli.images.picture_targets import PictureTarget
from mtl_cli.images.points import read_points
from mtl_cli.images.scale import require_scale
from mtl_cli.tables.listing import Listing
from mtl_cli.tables.named_files import Place
from mtl_cli.tables.paths import inside
from mtl_cli.tables.reading import TableFile, require_columns

logger = logging.getLogger("mtl_cli")
SHOWN = 10
"""Problems that a message lists."""


@dataclass
class Checked:
    """The images of one file of a set: paths [N], cells of picture targets [N] by field, sizes [N] as (H, W).

    `channels` [N] are 1 of a grey image, 3 of a coloured one, or those of arrays. `floating` are rows whose images hold
    floats, `bad` those that cannot be used; they are left out if `skip`. `told_sizes` are those that annotations tell.
    """

    path: Path
    folder: Path
    images: list[str]
    cells: dict[str, list[tuple[Any, ...]]]
    sizes: list[tuple[int, int]]
    channels: list[int]
    skip: bool
    floating: set[int] = field(default_factory=set)
    bad: set[int] = field(default_factory=set)
    told_sizes: Sequence[tuple[int, int] | None] = ()

    @property
    def floats(self) -> bool:
        """Whether all images that can be used hold floats: of all splits, since it says how files are written alone."""
        return bool(self.floating) and len(self.floating | self.bad) == len(self.images)

    def usable(self, rows: np.ndarray) -> np.ndarray:
        """Return those of some rows [N] that can be used."""
        return rows if not self.bad else rows[[row not in self.bad for row in rows.tolist()]]

    def path_of(self, row: int) -> Path:
        """Return the path of an image."""
        return self.folder / self.images[row]

    def cells_of(self, field: str, rows: np.ndarray) -> list[tuple[Any, ...]]:
        """Return the cells of a picture target in some rows [N]."""
        return [self.cells[field][row] for row in rows.tolist()]

    def told_of(self, row: int) -> tuple[int, int] | None:
        """Return the size of an image as its annotations tell it."""
        return self.told_sizes[row] if self.told_sizes else None

    def size_number(self, row: int) -> int:
        """Return one number for the size of an image, the same for images of one size."""
        height, width = self.sizes[row]
        return (height << 24) + width

    def first_of(self, problems: Sequence[str]) -> list[str]:
        """Return the first problems, and how many there are in all."""
        more = [f"{self.path}: {len(problems)} problems in all."] if len(problems) > SHOWN else []
        way = "tasks.NAME.dataset.skip_bad=true leaves out such rows, and boxes and points of a row, and says how many."
        return [*problems[:SHOWN], *more, *([] if self.skip else [way])]


def check_pictures(
    file: TableFile, column: str, targets: Mapping[str, PictureTarget], place: Place, skip: bool
) -> Checked:
    """Return the images of a file; with `skip`, rows whose files cannot be used are marked and counted in the log.

    Raises:
        UserError: files are missing, damaged, of another size than their image, or leave their place; all of them.
    """
    checked, problems, parts = look_at_pictures(file, column, targets, place, skip)
    wrong = [each for found in parts.values() for each in found]
    if (problems or wrong) and not skip:
        raise UserError(checked.first_of([*problems, *wrong]))
    if problems:
        told = len(checked.bad), len(checked.images), problems[0]
        logger.warning("%s: %d of %d rows are left out, such as %s", file.path, *told)
    for what, found in parts.items():
        if found:
            logger.warning("%s: left out %d of the %s, such as %s", file.path, len(found), what, found[0])
    return checked


def look_at_pictures(
    file: TableFile, column: str, targets: Mapping[str, PictureTarget], place: Place, skip: bool
) -> tuple[Checked, list[str], dict[str, list[str]]]:
    """Return the images of a file, what is wrong with files of bad rows, and what with boxes and with points."""
    for name, target in targets.items():
        if absent := [each for each in target.needed if each not in file.columns]:
            logger.warning("%s has no column %s: every label of '%s' is missing.", file.path, ", ".join(absent), name)
    images, cells = read_cells(file, column, targets)
    limit = place.limit.resolve()
    checked = Checked(file.path, place.folder, images, cells, [], [], skip)
    checked.told_sizes = file.told_sizes if isinstance(file, Listing) and targets else ()
    problems = list[str]()
    parts: dict[str, list[str]] = {"boxes": [], "points": []}
    for row in range(len(images)):
        try:
            _check_row(checked, row, targets, limit)
            for what, check in (("boxes", _check_boxes), ("points", _check_points)):
                parts[what] += [f"row {row + 1}, {images[row]}: {each}" for each in check(checked, row, targets)]
        except UserError as error:
            problems += [f"row {row + 1}: {each}" for each in error.problems]
            checked.bad.add(row)
            del checked.sizes[row:], checked.channels[row:]
            checked.sizes.append((0, 0))
            checked.channels.append(1)
    _tell_of_sizes(checked)
    return checked, [*problems, *_check_scales(checked)], parts


def _tell_of_sizes(checked: Checked) -> None:
    """Say once how many images are not as large as their annotations tell."""
    rows = [row for row in range(len(checked.images)) if row not in checked.bad]
    if other := [row for row in rows if checked.told_of(row) not in (None, checked.sizes[row])]:
        name, told, size = checked.images[other[0]], checked.told_of(other[0]), checked.sizes[other[0]]
        assert told is not None
        tell_once(
            f"{checked.path}: {len(other)} images are not as large as it tells, such as {name}, which is not "
            f"{told[1]}×{told[0]} but {size[1]}×{size[0]}. If they were made smaller later, their boxes lie elsewhere."
        )


def read_cells(
    file: TableFile, column: str, targets: Mapping[str, PictureTarget]
) -> tuple[list[str], dict[str, list[tuple[Any, ...]]]]:
    """Return the paths of images [N], and the cells of picture targets [N] by field, None where a column is absent.

    Raises:
        UserError: there is no such column of images.
    """
    require_columns([column], file.columns, file.path)
    wanted = list(dict.fromkeys([column, *(each for target in targets.values() for each in target.columns)]))
    columns = [name for name in wanted if name in file.columns]
    read: dict[str, list[Any]] = {name: [] for name in columns}
    for _, batch in file.batches(columns):
        for name in columns:
            read[name] += batch.column(columns.index(name)).to_pylist()
    nothing = [None] * len(read[column])
    cells = {
        name: list(zip(*(read.get(each, nothing) for each in target.columns), strict=True))
        for name, target in targets.items()
    }
    return [str(cell or "") for cell in read[column]], cells


def _check_row(checked: Checked, row: int, targets: Mapping[str, PictureTarget], limit: Path) -> None:
    name = checked.images[row]
    if not name:
        raise UserError(f"{checked.path} names no image.")
    header = read_header(inside(checked.folder / name, limit))
    if checked.skip or header.wide:  # what is behind the headers decides too
        decode_image(checked.folder / name, header.channels)
    checked.sizes.append((header.height, header.width))
    if checked.told_of(row) not in (None, checked.sizes[row]) and header.turned:
        raise UserError(
            f"{checked.folder / name} was annotated without the camera's rotation that its file tells of, so that its "
            "labels would lie elsewhere. Write the image without it."
        )
    checked.channels.append(header.channels)
    checked.floating |= {row} if header.floats else set()
    for field_name, target in targets.items():
        for label in picture_files(target, checked.cells[field_name][row]):
            own = read_header(inside(checked.folder / label, limit))
            if (own.height, own.width) != (header.height, header.width):
                raise UserError(
                    f"{checked.folder / label} is {own.width}×{own.height} pixels, its image {name} "
                    f"{header.width}×{header.height}; they must be alike."
                )
            if checked.skip:
                decode = decode_numbers if target.kind in ("depth", "normals") else decode_labels
                decode(checked.folder / label)


def _check_scales(checked: Checked) -> list[str]:
    """Return what is wrong with floats beside images of 8 or 16 bit, and mark these rows as bad."""
    problems = []
    for row in sorted(checked.floating - checked.bad) if not checked.floats else ():
        path = checked.path_of(row)
        try:
            require_scale(decode_image(path, read_header(path).channels), False, str(path))
        except UserError as error:
            problems += [f"row {row + 1}: {each}" for each in error.problems]
            checked.bad.add(row)
    return problems


def _check_boxes(checked: Checked, row: int, targets: Mapping[str, PictureTarget]) -> list[str]:
    """Return what is wrong with boxes that stand in cells, and leave these boxes out."""
    problems = []
    for name, target in targets.items():
        (cell, *_) = checked.cells[name][row]
        if target.kind != "boxes" or not cell or is_path(cell):
            continue
        boxes = boxes_in(cell, checked.folder, target)
        found = [box_problem(target, box, checked.sizes[row]) for box in boxes]
        if wrong := [f"{each}." for each in found if each]:
            good = [box for box, problem in zip(boxes, found, strict=True) if problem is None]
            checked.cells[name][row] = (json.dumps(good, ensure_ascii=False),)
            problems += wrong
    return problems


def _check_points(checked: Checked, row: int, targets: Mapping[str, PictureTarget]) -> list[str]:
    """Return what is wrong with points that stand in cells, and leave these points out."""
    problems = []
    for name, target in targets.items():
        if target.kind != "keypoints":
            continue
        points, wrong = read_points(checked.cells[name][row], target.classes, checked.sizes[row])
        if wrong:
            checked.cells[name][row] = (json.dumps(points, ensure_ascii=False),)
            problems += [f"{each}." for each in wrong]
    return problems
