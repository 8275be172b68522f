"""Points that mtl-init is asked for, or that annotations hold: columns that belong together, and left and right."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from mtl_cli.images.points import PARTS, named_points, point_columns, side_pairs
from mtl_cli.init.asked import Asked, asked_of, listed, numbered

POINTS = "points"
"""The name of a target of points, unless another is given."""


def asked_points(options: Mapping[str, Any], columns: Sequence[str]) -> Asked:
    """Return what is asked of a table of images, in which all points are one target.

    A target `nose` is a point where the table has no such column, but nose_x and nose_y.
    """
    targets = listed(options.get("target"))
    points = [name for name in targets if is_point(name, columns)]
    if points:
        own = "+".join(name for name in point_columns(points) if name in columns)
        first = targets.index(points[0])
        targets = [name for name in targets[:first] if name not in points] + [own] + [
            name for name in targets[first:] if name not in points
        ]  # fmt: skip
    asked = asked_of({**options, "target": targets}) if points else asked_of(options)
    if options.get("name"):
        return asked
    named: dict[str, Sequence[str]] = {}
    for name, own_columns in asked.targets.items():
        wanted = POINTS if named_points(own_columns) and len(own_columns) > 1 else name
        named[next(each for each in numbered(wanted) if each not in named)] = own_columns
    return replace(asked, targets=named)


def is_point(name: str, columns: Sequence[str]) -> bool:
    """Return whether a table has the place of a point, and no column of its name."""
    return name not in columns and all(f"{name}_{part}" in columns for part in PARTS[:2])


def pairs_of(names: Sequence[str]) -> dict[str, list[list[str]]]:
    """Return the YAML that says which points change places in a mirrored image; nothing where names do not tell."""
    pairs = [list(pair) for pair in side_pairs(names)]
    return {"swapped": pairs} if pairs else {}
