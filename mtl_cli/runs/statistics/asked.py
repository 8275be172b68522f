"""What the words of mtl-eval ask for beside the metrics of a split; read without torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mtl_cli.errors import UserError
from mtl_cli.runs.calibration import wish
from mtl_cli.runs.calibration.wish import Wish

RESAMPLES = 1000
WORDS = ("bootstrap", "by", *wish.WORDS)


@dataclass(frozen=True)
class Asked:
    """So many resamples of the rows, 0 for none, columns whose groups of rows are compared, and what is calibrated."""

    resamples: int = 0
    by: tuple[str, ...] = ()
    calibration: Wish | None = None

    @classmethod
    def of(cls, words: Mapping[str, Any]) -> "Asked":
        """Return what `WORDS` ask for.

        Raises:
            UserError: they ask for nothing that there is.
        """
        number = checked_resamples(words.get("bootstrap", RESAMPLES))
        by = words.get("by")
        if by is not None and not number:
            raise UserError("bootstrap=0 asks for no intervals, which by= compares groups by. Leave out bootstrap=0.")
        return cls(number, () if by is None else columns_asked(by), Wish.read(words))


def checked_resamples(resamples: object) -> int:
    """Return the number of resamples; 0 asks for no intervals.

    Raises:
        UserError: it is not such a number.
    """
    if type(resamples) is not int or not (resamples == 0 or 100 <= resamples <= 100_000):
        raise UserError(
            f"bootstrap is {resamples!r}; it is a number of resamples from 100 to 100000, or 0 for no intervals. "
            f"Use bootstrap={RESAMPLES}."
        )
    return resamples


def columns_asked(by: object) -> tuple[str, ...]:
    """Return the columns that `by` names.

    Raises:
        UserError: it is not a list of names, each given once.
    """
    names = [str(name) for name in by] if isinstance(by, list) else [by] if isinstance(by, str) else []
    if not names or len(set(names)) < len(names) or not all(names):
        such = ",".join(dict.fromkeys(filter(None, names))) or "sex,age_band"
        raise UserError(f"by is {by!r}; it is a list of columns, each named once. Use for example 'by=[{such}]'.")
    return tuple(names)
