"""Named points in images: what a table or an annotation says of them, and the label field that it becomes.

A row's cells are one text of JSON, {"nose": [x, y, v], …}, or x, y and v of each name in order. v is COCO's: 0, the
point is not there; 1, it is hidden; 2, it shows. A point with v above 0 has a place and is learnt.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from mtl_cli.errors import UserError

PARTS = ("x", "y", "v")
"""What the columns of a point are called behind its name and a line: nose_x, nose_y and, if it is there, nose_v."""
SIDES = (("left", "right"), ("l", "r"))
Point = tuple[float, float, float]
"""x and y in pixels, and 1; or 0, 0, 0 for a point that is not there."""
ABSENT: Point = (0.0, 0.0, 0.0)


def point_columns(names: Sequence[str]) -> tuple[str, ...]:
    """Return the columns that hold some points: x, y and v of each."""
    return tuple(f"{name}_{part}" for name in names for part in PARTS)


def named_points(columns: Sequence[str]) -> list[str]:
    """Return the points whose x and y, with or without v, are exactly these columns; none where they are others."""
    names = list(dict.fromkeys(column[:-2] for column in columns if column[-2:] in ("_x", "_y") and column[:-2]))
    needed = {f"{name}_{part}" for name in names for part in PARTS[:2]}
    return names if needed <= set(columns) <= set(point_columns(names)) else []


def side_pairs(names: Sequence[str]) -> list[tuple[str, str]]:
    """Return the pairs of names that differ in left and right, or in l and r, as in left_eye and right_eye."""
    lowered = {name.lower(): name for name in names}
    found = []
    for name in names:
        words = name.lower().split("_")
        for left, right in SIDES:
            other = "_".join(right if word == left else word for word in words)
            if left in words and other in lowered:
                found.append((name, lowered[other]))
    return found


def read_points(
    cells: Sequence[Any], names: Sequence[str], size: tuple[int, int] | None = None
) -> tuple[dict[str, Point], list[str]]:
    """Return the points of a row by name, without those of which nothing is known, and what is wrong with others.

    Args:
        cells: one text of JSON, or x, y and v of each name; an empty one says nothing.
        names: the points that there are; none where they are not known yet.
        size: height and width of the image, where places are compared with it; a pixel outside is forgiven.
    """
    found, problems = dict[str, Point](), list[str]()
    try:
        parts = _parts(cells, names)
    except (ValueError, TypeError, AttributeError, RecursionError):
        return {}, [f"'{str(cells[0])[:60]}' is not JSON of points {{name: [x, y, v], …}}"]
    for name, part in parts.items():
        if names and name not in names:
            problems.append(f"the point '{name}' is unknown; there are {', '.join(names)}")
            continue
        try:
            point = _point(part, size)
        except ValueError as error:
            problems.append(f"the point '{name}' {error}")
        else:
            found |= {} if point is None else {name: point}
    return found, problems


def point_field(points: Mapping[str, Point], names: Sequence[str]) -> Tensor:
    """Return the field [K, 3] of a row: x, y and 1, or 0 for a point that is not there; NaN where nothing is known."""
    return torch.tensor([points.get(name, (0.0, 0.0, float("nan"))) for name in names]).reshape(-1, 3)


def swapped_places(names: Sequence[str], pairs: Sequence[str]) -> list[int]:
    """Return which point stands at each place in a mirrored image; `pairs` are names, two by two."""
    places = {name: place for place, name in enumerate(names)}
    order = list(places.values())
    for left, right in zip(pairs[::2], pairs[1::2], strict=True):
        order[places[left]], order[places[right]] = places[right], places[left]
    return order


def parse_pairs(value: Any, where: str) -> tuple[str, ...]:  # noqa: ANN401  any YAML value
    """Return the names of points that change places in a mirrored image, two by two.

    Raises:
        UserError: it is not a list of pairs, or a name comes twice.
    """
    pairs = [] if value is None else value
    if not isinstance(pairs, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
        raise UserError(f"{where}.swapped is {value!r}; it is a list of pairs, such as [[left_eye,right_eye]].")
    names = [str(name) for pair in pairs for name in pair]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UserError(f"{where}.swapped has '{twice[0]}' twice; a point changes places with one other.")
    return tuple(names)


def _parts(cells: Sequence[Any], names: Sequence[str]) -> dict[str, Any]:
    """Return x, y and v of each point that cells tell of, as they stand there."""
    if len(cells) > 1:
        return {name: cells[3 * place : 3 * place + 3] for place, name in enumerate(names)}
    (cell,) = cells
    return {str(name): part for name, part in json.loads(cell).items()} if cell else {}


def _point(part: Any, size: tuple[int, int] | None) -> Point | None:  # noqa: ANN401  what JSON or a table holds
    """Return a point inside the image, None where nothing is known of it.

    Raises:
        ValueError: it has no place, or one outside the image.
    """
    if not isinstance(part, list | tuple) or len(part) not in (2, 3):
        raise ValueError(f"is {str(part)[:40]!r}; it is [x, y, v]")
    x, y, seen = (_number(each) for each in (*part, None)[:3])
    if seen == 0:
        return ABSENT
    if seen not in (None, 1, 2):
        raise ValueError(f"has the visibility {seen:g}; it is 0 (not there), 1 (hidden) or 2 (it shows)")
    if x is None and y is None and seen is None:
        return None
    if x is None or y is None:
        raise ValueError(f"has no {'x' if x is None else 'y'}")
    if size is None:
        return x, y, 1.0
    height, width = size
    if not (-1 <= x <= width + 1 and -1 <= y <= height + 1):
        raise ValueError(f"at ({x:g}, {y:g}) is not inside the image of {width}×{height}")
    return min(max(x, 0.0), float(width)), min(max(y, 0.0), float(height)), 1.0


def _number(cell: Any) -> float | None:  # noqa: ANN401  what JSON or a table holds
    if cell is None or cell == "":
        return None
    try:
        value = float(cell)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"has '{str(cell)[:20]}', which is not a number") from error
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"has '{cell}', which is not a number")
    return None if value != value else value
