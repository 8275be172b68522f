"""Tables as plain text."""

import math
import re
import shutil
from collections.abc import Mapping, Sequence
from typing import Protocol

NO_WIDTH = 120
"""Columns where the output is not a terminal."""
NARROWEST = 12
"""Characters that are left of a column before columns are left out."""


class HasValues(Protocol):
    """A task's result: its loss and metrics by name."""

    @property
    def values(self) -> Mapping[str, float]:
        """Values by name."""
        ...


def number(value: float | None) -> str:
    """Return a number in four decimals, "–" where there is none."""
    return "–" if value is None or math.isnan(value) else f"{value:.4f}"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows of cells, the head first, in aligned columns: the first to the left, the others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0]), *[cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def range_text(low: float | None, high: float | None) -> str:
    """Return an interval in four decimals, as "0.6623–0.8444", and nothing where there is none."""
    if low is None or high is None:
        return ""
    return f"{low:.4f}{' to ' if low < 0 else '–'}{high:.4f}"


def fitted(rows: Sequence[Sequence[str]], width: int, left: Sequence[int] = (0,), note: str = "") -> str:
    """Return rows of cells, the head first, in aligned columns that are at most `width` characters wide together.

    Columns in `left` are aligned to the left. Where the table is too wide, heads are broken into lines; then cells lose
    their middles, those of the widest columns first. Where that would leave less than `NARROWEST` characters of each,
    columns from the middle are left out, and the `note`, in which {} is their number, stands below.
    """
    columns = list(range(len(rows[0])))
    least = [narrowest([row[column] for row in rows[1:]], max(len(row[column]) for row in rows)) for column in columns]
    dropped = 0
    while len(columns) > 2 and sum(least[column] + 2 for column in columns) - 2 > width:
        columns.pop(len(columns) // 2)
        dropped += 1
    sizes = column_sizes({column: [row[column] for row in rows] for column in columns}, least, width)
    heads = {column: broken(rows[0][column], size) for column, size in sizes.items()}
    depth = max(map(len, heads.values()))
    tops = {column: [*[""] * (depth - len(lines)), *lines] for column, lines in heads.items()}
    shown = [[tops[column][line] for column in columns] for line in range(depth)]
    shown += [[shortened(row[column], size) for column, size in sizes.items()] for row in rows[1:]]
    lines = []
    for cells in shown:
        places = zip(cells, sizes.items(), strict=True)
        aligned = [cell.ljust(size) if column in left else cell.rjust(size) for cell, (column, size) in places]
        lines.append("  ".join(aligned).rstrip())
    return "\n".join([*lines, *([note.format(dropped)] if dropped and note else [])])


def column_sizes(columns: Mapping[int, Sequence[str]], least: Sequence[int], width: int) -> dict[int, int]:
    """Return how wide each column of cells, its head first, is shown: together at most `width`, if that can be."""
    sizes = {column: max(map(len, cells)) for column, cells in columns.items()}
    whole = {
        column: max(*map(len, cells[1:]), *map(len, pieces(cells[0])), 3) if cells[1:] else sizes[column]
        for column, cells in columns.items()
    }
    while sum(sizes.values()) + 2 * (len(sizes) - 1) > width:
        loose = [column for column in sizes if sizes[column] > whole[column]]
        wide = loose or [column for column in sizes if sizes[column] > least[column]] or list(sizes)
        widest = max(wide, key=lambda column: sizes[column])
        if sizes[widest] <= 3:
            break
        sizes[widest] -= 1
    return sizes


def pieces(head: str) -> list[str]:
    """Return the pieces between which the head of a column can be broken: at blanks and after slashes."""
    return re.findall(r"[^ /]*/|[^ /]+", head) or [""]


def broken(head: str, size: int) -> list[str]:
    """Return the head of a column as lines of at most `size` characters."""
    lines = [""]
    for piece in pieces(head):
        longer = lines[-1] + (" " if lines[-1] and not lines[-1].endswith("/") else "") + piece
        if lines[-1] and len(longer) > size:
            lines.append(piece)
        else:
            lines[-1] = longer
    return [shortened(line, size) for line in lines]


def narrowest(cells: Sequence[str], width: int) -> int:
    """Return how narrow a column may become: numbers stay whole, so that only the head above them is shortened."""
    if any(cell for cell in cells) and all(not cell or cell[0] in "+-−[–0123456789" for cell in cells):
        return max(map(len, cells))
    return min(width, NARROWEST)


def terminal_width() -> int:
    """Return the columns of the terminal, NO_WIDTH where the output is not one."""
    return max(40, shutil.get_terminal_size((NO_WIDTH, 24)).columns)


def shortened(text: str, size: int) -> str:
    """Return a text of at most `size` characters; a longer one loses its middle."""
    if len(text) <= size:
        return text
    end = (size - 1) // 2
    return text[: size - 1 - end] + "…" + (text[-end:] if end else "")


def evaluation_table(
    title: str,
    results: Mapping[str, HasValues],
    score: float | None = None,
    best: bool = False,
    intervals: Mapping[str, Mapping[str, tuple[float, float] | None]] | None = None,
) -> str:
    """Return one table with a row per task and a column per metric; the selection score, where given, stands below.

    A task with `intervals` has a second row, which holds them. A table that is wider than the terminal is one table for
    each kind of tasks, which have the same metrics.
    """
    text = _metrics_table(title, results, intervals or {})
    if len(text.partition("\n")[0]) > terminal_width():
        alike: dict[tuple[str, ...], dict[str, HasValues]] = {}
        for task, result in results.items():
            alike.setdefault(tuple(result.values), {})[task] = result
        text = "\n".join(_metrics_table(title, own, intervals or {}) for own in alike.values())
    if score is not None:
        text += f"\nselection score {number(score)}" + (", the best so far" if best else "")
    return text


def _metrics_table(
    title: str,
    results: Mapping[str, HasValues],
    intervals: Mapping[str, Mapping[str, tuple[float, float] | None]],
) -> str:
    names = list(dict.fromkeys(name for result in results.values() for name in result.values))
    rows = [[title, *names]]
    for task, result in results.items():
        rows.append([task, *[number(result.values.get(name)) for name in names]])
        own = intervals.get(task, {})
        shown = [range_text(*(own.get(name) or (None, None))) for name in names]
        if any(shown):
            rows.append(["  95 % interval", *shown])
    return table(rows)


def count(value: float) -> str:
    """Return a large number with a unit: 421642 as "421.6 k"."""
    for factor, unit, digits in ((1e12, "T", 4), (1e9, "G", 4), (1e6, "M", 4), (1e3, "k", 3)):
        if round(value / factor, digits) >= 1:  # 999,960 rounds up to the next unit
            return f"{value / factor:.1f} {unit}"
    return f"{value:.0f}"


def duration(seconds: float) -> str:
    """Return seconds as "1 h 02 min", "2 min 05 s" or "8.1 s"."""
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
