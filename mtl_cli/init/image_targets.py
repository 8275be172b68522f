"""What targets of images are: pictures, boxes, points, or labels of whole images."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mtl_cli.errors import UserError
from mtl_cli.images.checking import read_cells
from mtl_cli.images.pairs import FOLDER
from mtl_cli.images.palettes import names_of
from mtl_cli.images.points import named_points
from mtl_cli.init.asked import slug
from mtl_cli.init.found_targets import CLASS_WEIGHTS
from mtl_cli.init.image_looking import LOOKED_AT, Looked, look_at_labels
from mtl_cli.init.image_points import pairs_of
from mtl_cli.tables.listing import Listing
from mtl_cli.tables.reading import TableFile

MAP_HEAD = "    head: {_target_: mtl_cli.heads.map.MapHead, hidden: [], dropout: 0.0, norm: group, activation: relu}\n"
PICTURES = {
    "mask": ("mtl_cli.tasks.segmentation.Segmentation", CLASS_WEIGHTS + MAP_HEAD, "miou", "dice, pixel_accuracy"),
    "depth": ("mtl_cli.tasks.depth.Depth", MAP_HEAD, "rel_err", "abs_err"),
    "normals": ("mtl_cli.tasks.normals.Normals", MAP_HEAD, "mean_angle", "median_angle"),
    "keypoints": (
        "mtl_cli.tasks.keypoints.Keypoints",
        "    head: {_target_: mtl_cli.heads.keypoints.KeypointHead, hidden: 32}\n",
        "error",
        "pck, visibility",
    ),
    "boxes": (
        "mtl_cli.tasks.detection.Detection",
        "    score_threshold: null  # boxes of a lower score do not count; null: fitted on validation images\n"
        "    max_overlap: null  # of boxes of one class that overlap more the best is kept; null: fitted in training\n"
        "    head: {_target_: mtl_cli.heads.centers.CenterHead}\n",
        "map",
        "map50, count_mae, count_rel",
    ),
}
"""Class, further arguments, primary metric and the other metrics of the task for each kind of picture."""
POINT_KIND = "keypoints"
KINDS = {"segmentation": "mask", "depth": "depth", "normals": "normals", "detection": "boxes"}
"""What `kind.COLUMN=` may say of a column of pictures, and the kind of target."""


@dataclass(frozen=True)
class Picture:
    """A target of pictures, boxes or points, and what it was taken for."""

    name: str
    columns: tuple[str, ...]
    looked: Looked

    @property
    def column(self) -> str:
        """The column, or the first of those of points."""
        return self.columns[0]

    @property
    def reading(self) -> dict[str, Any]:
        """How its labels are read."""
        own = self.column == self.name or len(self.columns) > 1
        return {**({} if own else {"column": self.column}), **self.looked.reading}


def usual_targets(listing: TableFile) -> dict[str, list[str]]:
    """Return the targets of a set where none is asked for: points, boxes, or the class of class folders.

    Raises:
        UserError: it is a table, whose targets nobody can guess.
    """
    for column in ("points", "boxes", "label"):
        if isinstance(listing, Listing) and column in listing.columns:
            if column == "label" and len(kinds := set(listing.table.column(column).to_pylist())) == 1:
                raise UserError(
                    f"All images of {listing.path} lie in one class folder, '{kinds.pop()}'. Add a folder for each "
                    "other class, or give a table of the images with columns to predict."
                )
            return {column: [column]}
    if isinstance(listing, Listing):
        return {slug(name, "mask"): [name] for name in listing.columns if name not in ("image", "split", FOLDER)}
    raise UserError("No target is given. Use for example 'target=[label,mask]', the columns to predict.")


def look_at_target(
    listing: TableFile, folder: Path, columns: Sequence[str], images: Sequence[str], kinds: Mapping[str, str]
) -> Looked | None:
    """Return what a target of pictures, boxes or points is, None for labels of whole images.

    Raises:
        UserError: a kind is asked for that there is not, or that does not fit the column.
    """
    (column, *more) = columns
    wanted = kinds.get(column)
    if wanted is not None and wanted not in KINDS:
        raise UserError(f"kind.{column} is '{wanted}'; it is one of {', '.join(KINDS)}.")
    if isinstance(listing, Listing) and column in ("boxes", "points"):
        return look_at_annotations(listing, column)
    if names := named_points(columns):
        reading = {"points": names, **pairs_of(names)}
        return Looked(POINT_KIND, reading, f"{len(names)} points in columns of x and y", names)
    if column not in images:
        written = None if more else look_at_cells(read_cells(listing, column, {})[0])
        if wanted is not None and (written is None or KINDS[wanted] != written.kind):
            raise UserError(f"kind.{column} is '{wanted}', but the column does not name images that are there.")
        return written
    if more:
        raise UserError(f"target {'+'.join(columns)}: label images are one column each. Use target=[a,b].")
    if wanted == "detection":
        return Looked("boxes", {}, "boxes around the objects of the label images")
    asked = f"kind.{column}={wanted} asks for that"
    cells, _ = read_cells(listing, column, {})
    if wanted in ("depth", "normals"):
        return Looked(wanted, {}, asked)
    found = look_at_labels(column, [folder / cell for cell in cells if cell], names_of(listing, column))
    return found if wanted is None else replace(found, kind=KINDS[wanted], why=asked)


def look_at_annotations(listing: Listing, column: str) -> Looked:
    """Return what the column of boxes or points of annotations is.

    Raises:
        UserError: there are no boxes.
    """
    cells = [json.loads(cell) for cell in read_cells(listing, column, {})[0] if cell]
    if column == "points":
        names = list(dict.fromkeys(name for cell in cells for name in cell))
        return Looked(POINT_KIND, pairs_of(names), f"{len(names)} points of the largest object of each image", names)
    if not any(cells):
        raise UserError(f"{listing.path}: no image has a box, so there is nothing to learn.")
    return Looked("boxes", {}, "boxes of the annotations")


def look_at_cells(cells: Sequence[str]) -> Looked | None:
    """Return what cells of JSON are: boxes [[x, y, width, height, class], …], points {name: [x, y, v], …}, or None."""
    found = []
    for cell in list(filter(None, cells))[:LOOKED_AT]:
        try:
            found.append(json.loads(cell))
        except (ValueError, RecursionError):
            return None
    if any(found) and all(isinstance(each, list) and all(map(is_box, each)) for each in found):
        return Looked("boxes", {}, "boxes in cells, [x, y, width, height, class] each")
    if any(found) and all(isinstance(each, dict) and all(map(is_point, each.values())) for each in found):
        names = list(dict.fromkeys(name for each in found for name in each))
        return Looked(POINT_KIND, pairs_of(names), f"{len(names)} points in cells", names)
    return None


def is_box(entry: object) -> bool:
    """Return whether an entry of JSON is x, y, width, height and a class."""
    return isinstance(entry, list) and len(entry) == 5 and all(isinstance(each, int | float) for each in entry[:4])


def is_point(entry: object) -> bool:
    """Return whether an entry of JSON is x, y and perhaps v of a point."""
    return isinstance(entry, list) and len(entry) in (2, 3) and all(isinstance(each, int | float) for each in entry)
