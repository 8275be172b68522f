"""Rows of one group or id, which stay together."""

from collections.abc import Sequence

import numpy as np

from mtl_cli.errors import UserError
from mtl_cli.tables.labels import Columns


def codes_of(table: Columns, name: str, what: str) -> np.ndarray:
    """Return the number of each row's group or id, int64 [N].

    Raises:
        UserError: a row has none.
    """
    codes, _ = table.text(name)
    if (bad := np.flatnonzero(codes < 0)).size:
        raise table.place(name).error(int(bad[0]), f"the row has no {what}", f"Fill it in, or drop {what}_column.")
    return codes


def check_groups_apart(tables: Sequence[Columns], name: str) -> None:
    """Refuse files that share a group.

    Raises:
        UserError: two files share a group; it names the first.
    """
    seen: dict[str, Columns] = {}
    for table in tables:
        codes_of(table, name, "group")
        for group in table.text(name)[1]:
            if group in seen:
                raise UserError(
                    f"The group '{group}' of column '{name}' is in {seen[group].place(name).path} and in "
                    f"{table.place(name).path}, so it would be in two splits. Keep it in one of them."
                )
        seen |= dict.fromkeys(table.text(name)[1], table)
