"""Numbers whose point may stand before a fraction or between thousands: 1.234 among whole numbers below 1000."""

import re
from collections.abc import Sequence

from mtl_cli.errors import UserError
from mtl_cli.tables.reading import TableFile

POINTED, WHOLE = re.compile(r"[+-]?[1-9]\d{0,2}\.\d{3}"), re.compile(r"[+-]?\d{1,3}")
FEWEST = 10
"""Different numbers with a point of which all have three digits behind it, other than by chance."""


def check_points(file: TableFile, names: Sequence[str]) -> None:
    """Refuse columns of numbers in which all points may stand between thousands.

    Raises:
        UserError: it says how to tell which.
    """
    for _, batch in file.batches(names) if names and file.is_text else ():
        for name in names:
            texts = {text.strip() for text in batch.column(name).drop_null().unique().to_pylist()}
            pointed = {text for text in texts if POINTED.fullmatch(text)}
            others = texts - pointed
            if len(pointed) >= FEWEST and others and all(map(WHOLE.fullmatch, others)):
                raise UserError(
                    f"{file.path}, column '{name}': the point in '{min(pointed)}' may stand before a fraction or "
                    "between thousands: each has three digits behind it, and none without one is above 999. Say which: "
                    """mtl-init … "decimal='.'" or mtl-init … "decimal=','" "thousands='.'"."""
                )
        break
