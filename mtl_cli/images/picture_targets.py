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

import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mtl_cli.batch import FieldSpec, WantedField
from mtl_cli.config.annotations import typed
from mtl_cli.errors import UserError, nearest
from mtl_cli.images.points import parse_pairs, point_columns, side_pairs, swapped_places

MAPS = ("mask", "multimask", "depth", "normals")
logger = logging.getLogger("mtl_cli")
KINDS = (*MAPS, "boxes", "keypoints")
FOREGROUND = "foreground"
"""As `values`: 0 is background and all else one class, as in images that number instances."""
KEYS = ("kind", "column", "columns", "classes", "missing", "values")
COLOUR = re.compile("#[0-9a-fA-F]{6}")
POINT_KEYS = ("kind", "column", "points", "swapped")


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


def _list(value: Any, where: str) -> list[Any]:  # noqa: ANN401  any YAML value
    values = [] if value is None else value if isinstance(value, list) else [value]
    if not all(isinstance(each, str | int | float) for each in values):
        raise UserError(f"{where} is {value!r}; it is a value or a list of values.")
    return values


def _number(value: Any, where: str) -> int:  # noqa: ANN401  any YAML value
    """Return a number of a label image; colours are written as #ff8800."""
    if isinstance(value, str) and COLOUR.fullmatch(value):
        return int(value[1:], 16)
    try:
        return int(value)
    except (TypeError, ValueError) as error:
        raise UserError(
            f"{where}: {value!r} is not a number of a label image, or a colour such as '#ff8800'."
        ) from error


def swaps_of(targets: Iterable[PictureTarget], flipped: bool) -> dict[str, list[int]]:
    """Return which points change places in mirrored images, by field; warn of those that seem to lack if `flipped`."""
    points = [each for each in targets if each.kind == "keypoints"]
    for each in points if flipped else ():
        left = [list(pair) for pair in side_pairs(each.classes) if not {*pair} & {*each.swapped}]
        if left:
            pairs = ",".join(f"[{a},{b}]" for a, b in left)
            logger.warning(
                "Images are flipped, and the points %s and %s keep their places. If left and right change: "
                "'+%s.swapped=[%s]'. Else flip=0.", *left[0], each.where, pairs,
            )  # fmt: skip
    return {each.name: swapped_places(each.classes, each.swapped) for each in points if each.swapped}
