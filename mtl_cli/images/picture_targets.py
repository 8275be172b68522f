"""Labels that are pictures, boxes or points: how a config declares them, what training rows fit, and reading them.

| kind | a cell of the table holds | the field of one row |
| --- | --- | --- |
| mask | the path of a label image | int64 [H, W], class numbers, −100: ignored |
| multimask | the paths of one label image per class, in as many columns | float32 [C, H, W] of 0 and 1 |
| depth | the path of a grey image or .npy | float32 [H, W] in the file's unit; 0 in an image, NaN: missing |
| normals | the path of a .npy [3, H, W] | float32 [3, H, W] of unit length; 0 vectors: missing |
| boxes | JSON [[x, y, width, height, class], …] or the path of an image of instances | float32 [N, 5]: box, class |
| keypoints | JSON {name: [x, y, v], …}, or x, y and v of each name in columns | float32 [K, 3]: `images/points.py` |

A box of a field is x₁, y₁, x₂, y₂ in pixels. An empty cell is a row without a label.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mtl_cli.batch import MISSING_CLASS, FieldSpec, WantedField
from mtl_cli.config.annotations import typed
from mtl_cli.errors import UserError, nearest
from mtl_cli.images.decoding import Array, decode_labels, decode_numbers
from mtl_cli.images.new_images import ENDINGS
from mtl_cli.images.points import parse_pairs, point_columns, point_field, read_points

MAPS = ("mask", "multimask", "depth", "normals")
KINDS = (*MAPS, "boxes", "keypoints")
FOREGROUND = "foreground"
"""As `values`: 0 is background and all else one class, as in images that number instances."""
MAX_CLASSES = 256
KEYS = ("kind", "column", "columns", "classes", "missing", "values")
POINT_KEYS = ("kind", "column", "points", "swapped")
Box = tuple[float, float, float, float, str]
"""x, y, width, height in pixels, and the class."""


@dataclass(frozen=True)
class PictureTarget:
    """A label field of pictures, boxes or points: declared, and after `fit` with its classes, or names of points.

    `values` are, class by class, the numbers that stand for it in label images; empty: 0 … C − 1 in order.
    `missing` are numbers that are ignored. `swapped` are, two by two, points that change places in a mirrored image.
    """

    name: str
    kind: str
    columns: tuple[str, ...]
    classes: tuple[str, ...] = ()
    values: tuple[int, ...] = ()
    foreground: bool = False
    missing: tuple[int, ...] = ()
    swapped: tuple[str, ...] = ()
    task: str = ""

    @property
    def where(self) -> str:
        """The key of the config that declares it, for messages."""
        return f"tasks.{self.task}" if self.task else f"targets.{self.name}"

    @property
    def needed(self) -> tuple[str, ...]:
        """The columns that a table must have: of points not that of their visibility."""
        optional = self.columns[2::3] if self.kind == "keypoints" and len(self.columns) > 1 else ()
        return tuple(name for name in self.columns if name not in optional)

    @property
    def field_spec(self) -> FieldSpec:
        """What a task sees of the field."""
        if self.kind == "keypoints":
            points = len(self.classes)
            return FieldSpec(self.kind, points, self.classes, (points, 3), columns=self.classes)
        shape = {"boxes": (5,), "multimask": (), "normals": ()}.get(self.kind, ())
        classes = self.classes if self.kind in ("mask", "multimask", "boxes") else ()
        varying = self.kind == "boxes"
        return FieldSpec(self.kind, len(classes), classes, shape, columns=self.columns, varying=varying)

    def state(self) -> dict[str, Any]:
        """Return plain data for a checkpoint."""
        lists = ("columns", "classes", "values", "missing", "swapped")
        return {**{k: v for k, v in vars(self).items() if k != "task"}, **{k: list(getattr(self, k)) for k in lists}}

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> "PictureTarget":
        """Return the target of a checkpoint."""
        return typed(cls, state)


def parse_picture(field: WantedField) -> PictureTarget:
    """Return a field of pictures that a task, or the dataset's `targets`, declare.

    Raises:
        UserError: a key is unknown or its value does not fit.
    """
    where = f"tasks.{field.task}" if field.task else f"targets.{field.name}"
    keys, parse = (POINT_KEYS, parse_points) if field.kind == "keypoints" else (KEYS, parse_labels)
    if unknown := [key for key in field.node if key not in keys]:
        raise UserError(f"{where}.{unknown[0]} is unknown.{nearest(str(unknown[0]), keys)} Known: {', '.join(keys)}.")
    return parse(field, where)


def parse_labels(field: WantedField, where: str) -> PictureTarget:
    """Return a field of label images or boxes.

    Raises:
        UserError: a value does not fit.
    """
    node = field.node
    columns = node["columns"] if "columns" in node else [node["column"]]
    if not isinstance(columns, list) or not columns or not all(isinstance(column, str) for column in columns):
        raise UserError(f"{where}.columns is {columns!r}; it is a list of names of columns, such as [{field.name}].")
    if len(columns) > 1 and field.kind != "multimask":
        raise UserError(f"{where}.columns is {columns}; a {field.kind} target is read from one column.")
    classes = tuple(str(each) for each in _list(node.get("classes"), f"{where}.classes"))
    if len(set(classes)) < len(classes):
        raise UserError(f"{where}.classes is {list(classes)}; each class is named once.")
    if field.kind == "multimask":
        classes = classes or tuple(columns)
        if len(classes) != len(columns):
            raise UserError(f"{where}.classes has {len(classes)} names for {len(columns)} columns.")
    foreground = node.get("values") == FOREGROUND
    values = () if foreground else tuple(_number(each, where) for each in _list(node.get("values"), f"{where}.values"))
    if values and classes and len(values) != len(classes):
        raise UserError(f"{where}.values has {len(values)} numbers for {len(classes)} classes.")
    if foreground and field.kind == "mask":
        classes = classes or ("background", FOREGROUND)
        if len(classes) != 2:
            raise UserError(f"{where}.classes is {list(classes)}; values=foreground knows two, background first.")
    missing = tuple(_number(each, where) for each in _list(node.get("missing"), f"{where}.missing"))
    assert field.kind is not None
    return PictureTarget(field.name, field.kind, tuple(columns), classes, values, foreground, missing, task=field.task)


def parse_points(field: WantedField, where: str) -> PictureTarget:
    """Return a field of points: in the columns of the named `points`, or in one `column` of JSON.

    Raises:
        UserError: a value does not fit.
    """
    given, column = field.reading.get("points"), field.reading.get("column")
    names = tuple(str(each) for each in _list(given, f"{where}.points"))
    if len(set(names)) < len(names):
        raise UserError(f"{where}.points is {list(names)}; each point is named once.")
    swapped = parse_pairs(field.reading.get("swapped"), where)
    columns = point_columns(names) if names and column is None else (str(column or field.name),)
    target = PictureTarget(field.name, "keypoints", columns, names, swapped=swapped, task=field.task)
    check_pairs(target)
    return target


def check_pairs(target: PictureTarget) -> None:
    """Refuse pairs of points that there are not, where the names of the points are known.

    Raises:
        UserError: there is one.
    """
    if target.classes and (unknown := [name for name in target.swapped if name not in target.classes]):
        raise UserError(
            f"{target.where}.swapped has '{unknown[0]}', which is not a point.{nearest(unknown[0], target.classes)} "
            f"There are {', '.join(target.classes)}."
        )


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


def fit_picture(target: PictureTarget, cells: Sequence[tuple[Any, ...]], folder: Path) -> PictureTarget:
    """Return a target with its classes, found in the training rows' cells where they are not declared.

    Raises:
        UserError: there are none, or too many to be classes.
    """
    if target.kind == "keypoints":
        return fit_points(target, cells)
    if target.kind == "boxes" and not target.classes:
        found = {str(box[4]) for (cell,) in cells for box in boxes_in(cell, folder, target)}
        if not found:
            raise UserError(f"{target.where}: no training row has a box. Leave the task out: ~{target.where}.")
        return replace(target, classes=tuple(sorted(found)))
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


def read_picture(target: PictureTarget, cells: tuple[Any, ...], folder: Path, size: tuple[int, int]) -> Tensor | None:
    """Return the field of a row whose image is `size` (H, W), as the table above says; None for boxes without a label.

    Raises:
        UserError: a file is missing, damaged or of another size, or holds a number that is no class.
    """
    if target.kind == "boxes":
        return None if not cells[0] else _box_tensor(target, cells[0], folder, size)
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


def _box_tensor(target: PictureTarget, cell: str, folder: Path, size: tuple[int, int]) -> Tensor:
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
                f"{file} holds the number {int(wrong[0])}, which is no class of {target.where}: it has "
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


def _list(value: Any, where: str) -> list[Any]:  # noqa: ANN401  any YAML value
    values = [] if value is None else value if isinstance(value, list) else [value]
    if not all(isinstance(each, str | int | float) for each in values):
        raise UserError(f"{where} is {value!r}; it is a value or a list of values.")
    return values


def _number(value: Any, where: str) -> int:  # noqa: ANN401  any YAML value
    """Return a number of a label image; colours are written as #ff8800."""
    try:
        return int(value[1:], 16) if isinstance(value, str) and value.startswith("#") else int(value)
    except (TypeError, ValueError) as error:
        raise UserError(
            f"{where}: {value!r} is not a number of a label image, or a colour such as '#ff8800'."
        ) from error
