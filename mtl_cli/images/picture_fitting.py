"""Classes of label images and boxes, and names of points, as the training rows have them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mtl_cli.errors import UserError
from mtl_cli.images.box_cells import boxes_in, is_path
from mtl_cli.images.decoding import decode_labels
from mtl_cli.images.picture_targets import PictureTarget, check_pairs
from mtl_cli.images.points import read_points

MAX_CLASSES = 256


def fit_points(target: PictureTarget, cells: Sequence[tuple[Any, ...]]) -> PictureTarget:
    """Return a target with the names of its points, in the order in which the training rows' cells have them.

    Raises:
        UserError: there are none, or one that was named is in no training row.
    """
    found = dict[str, None]()
    for row in cells:
        points, problems = read_points(row, target.classes)
        if problems:
            raise UserError(f"{target.where}: {problems[0]}.")
        found |= dict.fromkeys(points)
    if absent := [name for name in target.classes if name not in found]:
        raise UserError(f"{target.where}: no training row has the point '{absent[0]}'. Leave it out of points.")
    if not found:
        raise UserError(f"{target.where}: no training row has a point. Leave the task out: ~{target.where}.")
    fitted = replace(target, classes=target.classes or tuple(found))
    check_pairs(fitted)
    return fitted


def fit_picture(
    target: PictureTarget, cells: Sequence[tuple[Any, ...]], every: Sequence[tuple[Any, ...]], folder: Path
) -> PictureTarget:
    """Return a target with its classes, found in the training rows' cells where they are not declared.

    Names of the classes of boxes are those in the cells of all rows, `every`: a rare class may have its only boxes in
    test rows. That there are none to learn from is told where labels are counted.

    Raises:
        UserError: there are none, or too many to be classes.
    """
    if target.kind == "keypoints":
        return fit_points(target, cells)
    if target.kind == "boxes" and not target.classes:
        if not any(boxes_in(cell, folder, target) for (cell,) in cells):
            raise UserError(f"{target.where}: no training row has a box. Leave the task out: ~{target.where}.")
        written = [cell for (cell,) in every if cell and not is_path(cell)]
        found = {str(box[4]) for cell in written for box in boxes_in(cell, folder, target)}
        return replace(target, classes=tuple(sorted(found)) or ("object",))
    if target.kind != "mask" or target.foreground:
        return target
    if target.classes:
        return target if target.values else replace(target, values=tuple(range(len(target.classes))))
    if target.values:
        return replace(target, classes=tuple(str(value) for value in target.values))
    numbers = set[int]()
    for (cell,) in cells:
        numbers |= set(np.unique(decode_labels(folder / cell)).tolist()) if cell else set()
        if len(numbers - set(target.missing)) > MAX_CLASSES:
            raise UserError(
                f"{target.where}: the label images hold more than {MAX_CLASSES} different numbers. If they number "
                f"instances, set +{target.where}.values=foreground."
            )
    values = tuple(sorted(numbers - set(target.missing)))
    if len(values) < 2:
        raise UserError(f"{target.where}: the label images of the training rows hold only {list(values)}.")
    return replace(target, values=values, classes=tuple(str(value) for value in values))
