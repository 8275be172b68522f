"""Boxes in cells of a table: as JSON, or around the instances of a label image."""

import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mtl_cli.errors import UserError
from mtl_cli.images.decoding import Array, decode_labels
from mtl_cli.images.new_images import ENDINGS
from mtl_cli.images.picture_targets import PictureTarget

Box = tuple[float, float, float, float, str]
"""x, y, width, height in pixels, and the class."""


def is_path(cell: str) -> bool:
    """Return whether a cell names a file of pixels."""
    return Path(cell).suffix.lower() in (*ENDINGS, ".npy")


def boxes_in(cell: str | None, folder: Path, target: PictureTarget) -> list[Box]:
    """Return the boxes [x, y, width, height, class] of a cell: JSON, or around the instances of a label image.

    Raises:
        UserError: it is neither.
    """
    if not cell:
        return []
    if is_path(cell):
        name = target.classes[0] if target.classes else "object"
        return [(*box, name) for box in instance_boxes(decode_labels(folder / cell))]
    try:
        found = json.loads(cell)
        return [(float(x), float(y), float(w), float(h), str(name)) for x, y, w, h, name in found]
    except (ValueError, TypeError) as error:
        raise UserError(
            f"{target.where}: '{cell[:60]}' is not JSON of boxes [[x, y, width, height, class], …] and not an image."
        ) from error


def instance_boxes(labels: Array) -> list[tuple[float, float, float, float]]:
    """Return the boxes x, y, width, height around the instances of a label image [H, W], where 0 is background."""
    numbers, inverse = np.unique(labels, return_inverse=True)
    inverse = inverse.reshape(labels.shape)
    rows, columns = np.indices(labels.shape)
    low = [np.full(len(numbers), np.iinfo(np.int64).max) for _ in range(2)]
    high = [np.full(len(numbers), -1) for _ in range(2)]
    for axis, places in enumerate((columns, rows)):
        np.minimum.at(low[axis], inverse.ravel(), places.ravel())
        np.maximum.at(high[axis], inverse.ravel(), places.ravel())
    return [
        (float(low[0][k]), float(low[1][k]), float(high[0][k] + 1 - low[0][k]), float(high[1][k] + 1 - low[1][k]))
        for k, number in enumerate(numbers.tolist())
        if number != 0
    ]


def box_tensor(target: PictureTarget, cell: str, folder: Path, size: tuple[int, int]) -> Tensor:
    """Return boxes [N, 5] inside an image, in pixels.

    Raises:
        UserError: a box has no area, lies outside the image, or is of an unknown class.
    """
    height, width = size
    boxes = []
    for box in boxes_in(cell, folder, target):
        if problem := box_problem(target, box, size):
            raise UserError(f"{target.where}: {problem}.")
        x, y, w, h, name = box
        corners = max(x, 0.0), max(y, 0.0), min(x + w, float(width)), min(y + h, float(height))
        boxes.append((*corners, float(target.classes.index(name))))
    return torch.tensor(boxes, dtype=torch.float32).reshape(-1, 5)


def box_problem(target: PictureTarget, box: Box, size: tuple[int, int]) -> str | None:
    """Return what is wrong with a box of an image of `size` (H, W), in words, or None; a pixel outside is forgiven."""
    x, y, w, h, name = box
    shown = f"the box [{x:g}, {y:g}, {w:g}, {h:g}]"
    if target.classes and name not in target.classes:
        return f"{shown} is of the class '{name}', which is not one of {', '.join(target.classes)}"
    if not (w > 0 and h > 0):
        return f"{shown} has no area"
    height, width = size
    inside = min(x, y) >= -1 and x + w <= width + 1 and y + h <= height + 1 and x < width and y < height
    return None if inside and x + w > 0 and y + h > 0 else f"{shown} is not inside the image of {width}×{height}"
