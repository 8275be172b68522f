"""Lines of names that are not where they should be: none, a second one, or one among the rows."""

import itertools
import re
from collections.abc import Mapping

from mtl_cli.errors import UserError
from mtl_cli.tables.profile import ColumnProfile
from mtl_cli.tables.reading import TableFile

NUMBER = re.compile(r"[+-]?\d+([.]\d+)?([eE][+-]?\d+)?")
FEW = 3
"""Numbers among the names up to which they may rise by chance."""


def check_names(file: TableFile, columns: Mapping[str, ColumnProfile]) -> None:
    """Refuse a file of text whose names are numbers as a row has them; names such as 2019, 2020, 2021 rise.

    Raises:
        UserError: the first line looks like a row.
    """
    found = [name for name in file.columns if NUMBER.fullmatch(name)]
    if not file.is_text or file.options.column_names or not found:
        return
    values = [float(name) for name in found]
    rises = len(values) > 1 and all(one < other for one, other in itertools.pairwise(values))
    falls = len(values) > 1 and all(one > other for one, other in itertools.pairwise(values))
    odd = any(value < 0 or value % 1 for value in values)
    if not (odd if len(values) <= FEW else not rises and not falls):
        return
    if all(columns[name].kind == "number" for name in found if name in columns):
        raise UserError(
            f"{file.path} names its columns {', '.join(file.columns[:6])}: the first line looks like a row. Name all "
            f"{len(file.columns)} columns, mtl-init … 'column_names=[a,b,…]', and targets by these names; or rename "
            "them in the file."
        )


def check_second_header(file: TableFile, columns: Mapping[str, ColumnProfile]) -> None:
    """Refuse a file whose first row has texts where two columns or more have numbers in all other rows, or one in which
    the line of names stands again.

    Raises:
        UserError: it looks like a second line of names, or of units.
    """
    again = [each for each in columns.values() if each.stray.strip() == each.name and each.kind == "mixed"]
    if again:
        row = again[0].stray_row + 1
        raise UserError(
            f"{file.path}, row {row} holds '{again[0].name}' in the column of that name: the line of names, "
            "as where files were joined. Delete it in the file."
        )
    odd = [
        each for each in columns.values() if each.stray_row == 0 and each.numbers == each.cells - each.missing - 1 > 1
    ]
    if len(odd) > 1:
        words = ", ".join(f"'{each.stray[:40]}'" for each in odd[:3])
        raise UserError(
            f"{file.path}, row 1 holds {words} in {', '.join(repr(each.name) for each in odd[:3])}, which have numbers "
            "in all other rows: it looks like a second line of names or units. Delete that line in the file."
        )
