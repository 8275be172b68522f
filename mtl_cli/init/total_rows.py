"""A row at the end of a table that sums up those above it: Total, Summe, Mean."""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from mtl_cli.errors import UserError
from mtl_cli.tables.arrow import pc
from mtl_cli.tables.cells import is_text
from mtl_cli.tables.filling import read_table
from mtl_cli.tables.profile import Profile
from mtl_cli.tables.reading import TableFile
from mtl_cli.tables.store import Layout

MOST_ROWS, LAST, SHOWN = 50_000, 4, 3
"""Rows of a table that is looked at, rows at its end that may sum up the others, and columns that are named."""
WORDS = re.compile(
    r"[-–=*∑Σ ]*((grand|sub|overall|column)?[- ]?totals?|overall|sums?|average|avg\.?|mean|median|(zwischen)?summen?"
    r"|(ins)?gesamt(summe|ergebnis|wert)?|mittel(wert)?|durchschnitt|schnitt|somme|total g[eé]n[eé]ral|totaux|moyenne"
    r"|sumas?|promedio|media|soma|m[eé]dia|total[ei]|totaal|gemiddelde|итого|всего|сумма|среднее|razem|średnia"
    r"|toplam|ortalama|合计|总计|小计|总和|平均值?|合計|総計|小計|합계|총계|소계|평균|∑|Σ|ø)[-=* :.]*",
    re.IGNORECASE,
)


def check_total_row(file: TableFile, found: Profile) -> list[str]:
    """Refuse a table whose last row sums up the rows above it; return a note on one that says so and does not.

    Raises:
        UserError: numbers of such a row are the sums or means of their columns.
    """
    if not LAST < found.rows <= MOST_ROWS:
        return []
    word, start = last_word(file, found.rows)
    names = [name for name, each in found.columns.items() if each.kind == "number"]
    numbers = read_table(file, Layout(tuple(names), (), ()))
    columns = {name: numbers.number(name) for name in names}
    summed = {name: how for name, values in columns.items() if (how := summed_up(values, start))}
    filled = [name for name, values in columns.items() if not np.isnan(values[start])]
    place = f"row {start + 1} of {found.rows}"
    if word and not summed:
        return [f"{place} says '{word}', as no other row does. If it sums up the rows above it, delete that line"]
    beyond = all(summed.get(name) == "sum" and is_beyond(columns[name], start) for name in filled)
    if word or (beyond and len(filled) > 1):
        such = ", ".join(f"'{name}' ({how})" for name, how in list(summed.items())[:SHOWN])
        says = f" says '{word}' and" if word else ""
        raise UserError(
            f"{file.path}, {place}{says} sums up the rows above it in {such}: it would be learnt like any other row. "
            "Delete it in the file."
        )
    return []


def last_word(file: TableFile, rows: int) -> tuple[str, int]:
    """Return the word of the first of the last rows that says that it sums up, and its number; else "" and the last."""
    texts = [name for name, type in file.types.items() if is_text(type)]
    seen: dict[str, dict[int, str]] = {}
    for first, batch in file.batches(texts) if texts else ():
        for name in texts:
            words = pc.utf8_lower(pc.cast(batch.column(name), "string"))
            for value in words.unique().to_pylist():
                if value and WORDS.fullmatch(value.strip()):
                    places = np.flatnonzero(pc.fill_null(pc.equal(words, value), False).to_numpy(zero_copy_only=False))
                    seen.setdefault(name, {}).update({first + int(place): value.strip() for place in places})
    ends = [(min(places), places) for places in seen.values() if min(places) >= rows - LAST]
    if not ends:
        return "", rows - 1
    start, said = min(ends, key=lambda each: each[0])
    return said[start], start


def summed_up(values: np.ndarray, row: int) -> str:
    """Return whether a row of a column of numbers [N] is the sum or the mean of those above, or an empty text."""
    above, value = values[:row][~np.isnan(values[:row])], values[row]
    if np.isnan(value) or len(np.unique(above)) < 2:
        return ""
    rounding = 0.51 * 10.0 ** -len(f"{value:.10f}".rstrip("0").partition(".")[2])
    sums: Sequence[tuple[str, float]] = (("sum", above.sum()), ("mean", above.mean()))
    scale: Mapping[str, float] = {"sum": np.abs(above).sum(), "mean": np.abs(above).max()}
    return next((how for how, wanted in sums if abs(value - wanted) <= rounding + 1e-9 * scale[how]), "")


def is_beyond(values: np.ndarray, row: int) -> bool:
    """Return whether a number lies outside those above it."""
    return not np.nanmin(values[:row]) <= values[row] <= np.nanmax(values[:row])
