"""Labels that are pictures, boxes or points, read for one row; `mtl_cli.images.picture_targets` says as what."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mtl_cli.batch import MISSING_CLASS
from mtl_cli.errors import UserError
from mtl_cli.images.box_cells import box_tensor, is_path
from mtl_cli.images.decoding import Array, decode_labels, decode_numbers
from mtl_cli.images.picture_targets import PictureTarget
from mtl_cli.images.points import point_field, read_points


def read_picture(target: PictureTarget, cells: tuple[Any, ...], folder: Path, size: tuple[int, int]) -> Tensor | None:
    """Return the field of a row whose image is `size` (H, W), as the table above says; None for boxes without a label.

    Raises:
        UserError: a file is missing, damaged or of another size, or holds a number that is not a class.
    """
    if target.kind == "boxes":
        return None if not cells[0] else box_tensor(target, cells[0], folder, size)
    if target.kind == "keypoints":
        points, problems = read_points(cells, target.classes, size)
        if problems:
            raise UserError(f"{target.where}: {problems[0]}.")
        return point_field(points, target.classes)
    if not all(cells):
        return _unlabelled(target, size)
    files = [folder / cell for cell in cells]
    if target.kind == "mask":
        return torch.from_numpy(_classes_of(target, files[0], size))
    if target.kind == "multimask":
        marks = [_sized(decode_labels(file), file, size) > 0 for file in files]
        return torch.from_numpy(np.stack(marks).astype(np.float32))
    values = _sized(decode_numbers(files[0]), files[0], size)
    if target.kind == "depth":
        absent = ~np.isfinite(values) | np.isin(values, target.missing)
        if files[0].suffix.lower() != ".npy":
            absent |= values == 0
        return torch.from_numpy(np.where(absent, np.nan, values).astype(np.float32))
    if values.ndim != 3 or len(values) != 3:
        raise UserError(f"{files[0]} holds an array {list(values.shape)}; normals are [3, H, W].")
    length = np.linalg.norm(values, axis=0, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return torch.from_numpy(np.where(length > 0, values / length, np.nan).astype(np.float32))


def picture_files(target: PictureTarget, cells: tuple[Any, ...]) -> list[str]:
    """Return the files that a row's cells name; boxes may stand in the cell itself, and points do."""
    if target.kind == "keypoints":
        return []
    return [cell for cell in cells if cell and (target.kind != "boxes" or is_path(cell))]


def _classes_of(target: PictureTarget, file: Path, size: tuple[int, int]) -> Array:
    labels = _sized(decode_labels(file), file, size)
    if target.foreground:
        found = (labels > 0).astype(np.int64)
    else:
        values = np.array(target.values, dtype=np.int64)
        order = np.argsort(values)
        at = np.searchsorted(values[order], labels).clip(max=len(values) - 1)
        found = order[at]
        known = values[found] == labels
        ignored = np.isin(labels, target.missing)
        if (wrong := labels[~known & ~ignored]).size:
            raise UserError(
                f"{file} holds the number {int(wrong[0])}, which is not a class of {target.where}: it has "
                f"{', '.join(f'{v}={c}' for v, c in zip(target.values[:8], target.classes, strict=False))}. "
                f"If it is to be ignored: +{target.where}.missing=[{int(wrong[0])}]."
            )
        found = np.where(known, found, MISSING_CLASS)
    return np.where(np.isin(labels, target.missing), MISSING_CLASS, found).astype(np.int64)


def _sized(values: Array, file: Path, size: tuple[int, int]) -> Array:
    if values.shape[-2:] != size:
        raise UserError(
            f"{file} is {values.shape[-1]}×{values.shape[-2]} pixels, its image {size[1]}×{size[0]}; they must be "
            "alike."
        )
    return values


def _unlabelled(target: PictureTarget, size: tuple[int, int]) -> Tensor:
    if target.kind == "mask":
        return torch.full(size, MISSING_CLASS)
    leading = {"multimask": (len(target.classes),), "normals": (3,)}.get(target.kind, ())
    return torch.full((*leading, *size), torch.nan)
