"""A picture of where a network looked when it wrote a text, piece by piece."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtl_cli.report.drawing import INK, MUTED, escaped, new_figure, shortened, write
from mtl_cli.report.shown import Array

MOST = 120
"""Pieces or frames of a side that are drawn."""
NAMED = 45
"""Pieces of a side up to which each is named."""
CELL, SMALLEST, WIDEST = 0.17, 1.4, 7.0
"""Inches of a piece, and of a panel."""
NARROWEST = 4.6
"""Inches of a sheet."""


@dataclass(frozen=True)
class Look:
    """Where a network looked in one row.

    Args:
        title: what the row is called.
        read: names of the pieces that were read; empty of frames.
        written: names of the pieces that were written [L].
        panels: shares [L, L'] from 0 to 1, by what they are for.
    """

    title: str
    read: Sequence[str]
    written: Sequence[str]
    panels: Mapping[str, Array]


def draw_attention(path: Path, looks: Sequence[Look], title: str) -> None:
    """Write a sheet with a line of panels per row: what was written downwards, what was read to the right.

    Raises:
        RunFailure: the file cannot be written.
    """
    columns = max(len(look.panels) for look in looks)
    tall = [side(len(look.written)) for look in looks]
    wide = max(side(shares.shape[1]) for look in looks for shares in look.panels.values())
    figure, axes = new_figure(
        max(NARROWEST, (wide + 1.3) * columns), sum(tall) + 1.2 * len(looks) + 0.4, len(looks), columns
    )
    for row, look in enumerate(looks):
        own = axes[row * columns : (row + 1) * columns]
        for axis, (what, shares) in zip(own, look.panels.items(), strict=False):
            _draw(axis, look, f"{look.title}: {what}", shares)
    figure.suptitle(escaped(title), fontsize=9, color=MUTED)
    write(figure, path)


def side(number: int) -> float:
    """Return the inches of so many pieces."""
    return min(WIDEST, max(SMALLEST, CELL * min(number, MOST)))


def _draw(axis: Any, look: Look, title: str, shares: Array) -> None:  # noqa: ANN401  untyped
    shares = shares[:MOST, :MOST]
    axis.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0, aspect="auto", interpolation="nearest")
    axis.grid(visible=False)
    axis.set_title(escaped(title), fontsize=8, color=INK, loc="left")
    axis.tick_params(labelsize=7, colors=MUTED, length=0)
    sides = ((look.read, shares.shape[1], axis.set_xticks), (look.written, len(shares), axis.set_yticks))
    for names, count, ticks in sides:
        if names and count <= NAMED:
            ticks(range(count), [escaped(shortened(name)) for name in names[:count]])
    if look.read:
        axis.tick_params(axis="x", labelrotation=90)
    else:
        axis.set_xlabel("frame", fontsize=7, color=MUTED)
