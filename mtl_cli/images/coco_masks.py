"""Boxes around the masks of COCO: polygons, or runs of pixels column by column, also in its compressed form."""

from collections.abc import Mapping, Sequence
from typing import Any

from mtl_cli.errors import UserError

Box = tuple[float, float, float, float]
"""x, y, width and height."""


def box_of_mask(mask: Any, where: str) -> Box:  # noqa: ANN401  any JSON value
    """Return the box around a segmentation.

    Raises:
        UserError: it is neither polygons nor runs, or has no pixel; `where` it stands.
    """
    if isinstance(mask, Mapping):
        return box_of_runs(mask, where)
    if not mask or not isinstance(mask, list):
        raise UserError(f"{where}: it has neither a bbox nor a segmentation. Write the bbox of each.")
    numbers = [[float(value) for value in polygon] for polygon in mask]
    across, down = ([value for each in numbers for value in each[start::2]] for start in (0, 1))
    return min(across), min(down), max(across) - min(across), max(down) - min(down)


def box_of_runs(mask: Mapping[str, Any], where: str) -> Box:
    """Return the box around runs, which are by turns outside and inside, down one column after the other.

    Raises:
        UserError: they are not those of an image of the size that is given, or none is inside.
    """
    height, width = (int(each) for each in mask["size"])
    counts = mask["counts"]
    runs = unpacked(counts, where) if isinstance(counts, str) else [int(each) for each in counts]
    if min(runs, default=-1) < 0 or sum(runs) != height * width:
        raise UserError(f"{where}: the runs of its segmentation do not make {width}×{height} pixels. Write its bbox.")
    columns, rows, at = [], [], 0
    for number, run in enumerate(runs):
        if number % 2 and run:
            first, last = divmod(at, height), divmod(at + run - 1, height)
            columns += [first[0], last[0]]
            rows += [first[1], last[1]] if first[0] == last[0] else [0, height - 1]
        at += run
    if not columns:
        raise UserError(f"{where}: its segmentation holds no pixel. Take it away.")
    return float(min(columns)), float(min(rows)), max(columns) - min(columns) + 1.0, max(rows) - min(rows) + 1.0


def unpacked(text: str, where: str) -> Sequence[int]:
    """Return the runs of a compressed text: five bits a character, lowest first, from the third run on as differences.

    Raises:
        UserError: the text ends within a number, or a character is none of this form.
    """
    runs: list[int] = []
    number = shift = 0
    for letter in text:
        bits = ord(letter) - 48
        if not 0 <= bits < 64 or shift > 60:
            raise UserError(f"{where}: '{text[:40]}' is not a compressed segmentation of COCO. Write its bbox.")
        number |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            number -= (1 << shift) if bits & 16 else 0
            runs.append(number + (runs[-2] if len(runs) > 2 else 0))
            number = shift = 0
    if shift:
        raise UserError(f"{where}: '{text[-40:]}' is cut off. Write its bbox.")
    return runs
