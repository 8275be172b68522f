"""Input columns of a table fitted on training rows: scaler and vocabularies, by the options that a config gives."""

import logging
from dataclasses import dataclass

import numpy as np

from mtl_cli.errors import UserError
from mtl_cli.tables.columns import InputColumns
from mtl_cli.tables.inputs import TableInputs
from mtl_cli.tables.scaling import IMPUTE, SCALE, fit_scaler
from mtl_cli.tables.store import Table
from mtl_cli.tables.vocabulary import fit_vocabulary

logger = logging.getLogger("mtl_cli")


@dataclass(frozen=True)
class Fitting:
    """How numbers are filled in and scaled, and which categories are kept; see `mtl_cli.datasets.tabular.Tabular`."""

    impute: str
    impute_value: float
    indicators: bool
    scale: str
    max_categories: int | None
    min_count: int
    count_key: str = "min_count"
    """What the option of that number is called."""

    def check(self) -> None:
        """Refuse options that are none.

        Raises:
            UserError: every one.
        """
        problems = []
        if self.impute not in IMPUTE:
            problems.append(f"impute is '{self.impute}'; it is one of {', '.join(IMPUTE)}. Use impute=mean.")
        if self.scale not in SCALE:
            problems.append(f"scale is '{self.scale}'; it is one of {', '.join(SCALE)}. Use scale=standard.")
        if self.max_categories is not None and self.max_categories < 1:
            problems.append(
                f"max_categories is {self.max_categories}; it is 1 or more, or null. Use max_categories=10000."
            )
        if self.min_count < 1:
            problems.append(f"{self.count_key} is {self.min_count}; it is 1 or more. Use {self.count_key}=1.")
        if problems:
            raise UserError(problems)

    def inputs(self, chosen: InputColumns, table: Table, rows: np.ndarray) -> TableInputs:
        """Return the input columns of a table, fitted on its training `rows`."""
        places = table.number_places([*chosen.numbers, *chosen.dates])
        scaler = fit_scaler(table.numbers, places, rows, self.impute, self.impute_value, self.indicators, self.scale)
        vocabularies = []
        for name in chosen.texts:
            codes, values = table.text(name)
            vocabularies.append(fit_vocabulary(codes[rows], values, self.max_categories, self.min_count))
            warn_of_names(table, name, codes[rows], vocabularies[-1].size - 1)
            left = len(set(values).difference(vocabularies[-1].values))
            if left:
                logger.info("%s, column '%s': %d of %d categories are unknown.", table.path, name, left, len(values))
        return TableInputs(chosen.numbers, chosen.dates, chosen.texts, scaler, tuple(vocabularies))


def warn_of_names(table: Table, name: str, codes: np.ndarray, known: int) -> None:
    """Warn of a column in which nearly every row has a value of its own: as categories they say nothing."""
    count = int((codes >= 0).sum())
    if count >= 20 and known >= 0.95 * count:
        logger.warning(
            "%s, column '%s': nearly every row has a category of its own, such as '%s', which says little. "
            "Leave the column out (drop=[%s]), or write it as plain numbers (1234.5) if that is what it holds.",
            table.path, name, table.values[table.text_places([name])[0]][0], name,
        )  # fmt: skip
