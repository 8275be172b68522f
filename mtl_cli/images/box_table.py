"""Tables with a row per box: image, xmin, ymin, xmax, ymax, class. They become a row per image, as annotations do."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mtl_cli.errors import UserError
from mtl_cli.images.box_rows import Boxes, ImageFinder, boxed_rows
from mtl_cli.images.coco import found_images
from mtl_cli.tables.cells import category_cells, number_cells
from mtl_cli.tables.listing import Listing, Rows
from mtl_cli.tables.reading import ReadOptions, TableFile

CORNERS = (("xmin", "ymin", "xmax", "ymax"), ("left", "top", "right", "bottom"))
IMAGES = ("image", "filename", "file", "path", "imagepath", "imagename", "img", "imageid", "imagefile")
CLASSES = ("label", "class", "classname", "name", "category", "categoryname", "labelname", "object")
"""Names of the columns, without capitals and signs between words; of several the first is meant."""


@dataclass(frozen=True)
class BoxColumns:
    """The columns of a table with a row per box."""

    image: str
    corners: tuple[str, ...]
    label: str


class BoxTable(Listing):
    """A table with a row per box as one with a row per image; `source` is the table, `of` are its columns.

    Raises:
        UserError: it has no such columns, a cell is not a number, boxes are shares of images, or no image is there.
    """

    def __init__(self, path: Path, options: ReadOptions) -> None:
        self.source = TableFile(path, options)
        found = box_columns(self.source.columns)
        if found is None:
            raise UserError(
                f"{path} is not a table with a row per box: it needs the columns {', '.join(CORNERS[0])}, one of images"
                f" ({', '.join(IMAGES[:3])}) and one of classes ({', '.join(CLASSES[:2])}). It has "
                f"{', '.join(self.source.columns[:12])}."
            )
        self.of = found
        super().__init__(path, options, rows_of(self.source, found), path.parent, [path])


def box_columns(columns: Sequence[str]) -> BoxColumns | None:
    """Return which columns say what of a table with a row per box; None for another table."""
    plain = {name.lower().replace("_", "").replace(" ", ""): name for name in reversed(columns)}
    corners = next((each for each in CORNERS if plain.keys() >= {*each}), None)
    image, label = (next((name for name in known if name in plain), None) for known in (IMAGES, CLASSES))
    if corners is None or image is None or label is None:
        return None
    return BoxColumns(plain[image], tuple(plain[name] for name in corners), plain[label])


def rows_of(file: TableFile, of: BoxColumns) -> Rows:
    """Return a row per image, in the order in which images first come; one whose cells are empty has no box.

    Columns that say one thing of all rows of each image are kept.
    """
    beside = [name for name in file.columns if name not in (of.image, *of.corners, of.label, "image", "boxes")]
    boxes, told = dict[str, Boxes](), dict[str, dict[str, Any]]()
    for first, batch in file.batches():
        names = texts_of(file, batch, of.image, first)
        labels = texts_of(file, batch, of.label, first)
        how = file.options.notation
        cells = [number_cells(batch.column(name), how, file.place(name, first)) for name in of.corners]
        others = {name: batch.column(name).to_pylist() for name in beside}
        for row, (name, label, corners) in enumerate(zip(names, labels, np.stack(cells, 1).tolist(), strict=True)):
            lacking = [each for each, cell in zip(of.corners, corners, strict=True) if np.isnan(cell)]
            if name is None or len(lacking) + (label is None) not in (0, 5):
                what = of.image if name is None else [*lacking, of.label][0]
                fix = "Fill it, or leave all of them empty where an image has no box."
                raise file.place(what, first).error(row, "the cell is empty", fix)
            own = boxes.setdefault(name, [])
            if label is not None:
                left, top, right, bottom = corners
                own.append((left, top, right - left, bottom - top, label))
            said = {key: values[row] for key, values in others.items()}
            known = told.setdefault(name, said)
            beside = [key for key in beside if known[key] == said[key]]
            others = {key: others[key] for key in beside}
    refuse_shares(file, boxes)
    finder = ImageFinder(file.path.parent)
    placed = found_images(finder, {name: name for name in boxes}, file.path)
    rows = boxed_rows([(path, boxes[name]) for name, path in placed.items()], classes_in(boxes))
    kept = [key for key in beside if key not in rows[0]]
    return [{**row, **{key: told[name][key] for key in kept}} for name, row in zip(placed, rows, strict=True)]


def texts_of(file: TableFile, batch: Any, name: str, first: int) -> list[str | None]:  # noqa: ANN401  of Arrow
    """Return the cells of a column of a batch as texts, None where they are empty."""
    codes, values = category_cells(batch.column(name), file.options.notation, file.place(name, first))
    return [None if code < 0 else values[code] for code in codes.tolist()]


def classes_in(boxes: dict[str, Boxes]) -> list[str]:
    """Return the names of all classes, in order."""
    return sorted({box[4] for own in boxes.values() for box in own})


def refuse_shares(file: TableFile, boxes: dict[str, Boxes]) -> None:
    """Refuse boxes that are shares of images rather than pixels.

    Raises:
        UserError: they all are from 0 to 1.
    """
    ends = [(x, y, x + w, y + h) for own in boxes.values() for x, y, w, h, _ in own]
    if ends and min(map(min, ends)) >= 0 and max(map(max, ends)) <= 1:
        raise UserError(
            f"{file.path}: all corners are from 0 to 1, shares of the image. Write pixels: multiply those of x by the "
            "width and those of y by the height of the image."
        )
