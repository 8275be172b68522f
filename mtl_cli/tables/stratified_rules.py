"""The options that divide a table of labelled rows: with equal shares of labels in all splits, or by time."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mtl_cli.errors import UserError
from mtl_cli.tables.labels import NAMED, Columns, Target
from mtl_cli.tables.split_rules import SplitRules
from mtl_cli.tables.splitting import Fractions, by_time

AUTO = "auto"


@dataclass(frozen=True, kw_only=True)
class StratifiedRules(SplitRules):
    """Rules that can also keep the shares of labels equal in all splits, or divide rows by their time."""

    stratify: str | None
    """Column or target whose values every part has in equal shares; auto is the first target with classes."""
    time_column: str | None = None
    """Column of numbers or dates: the oldest rows are trained on and the newest are the test split."""

    def problems(self) -> list[str]:
        """Return what is wrong with the options, each and together."""
        problems = super().problems()
        column = next((key for key in ("group_column", "id_column", "time_column") if getattr(self, key)), None)
        if column and self.stratify not in (AUTO, None):
            what = {"group_column": "Groups", "id_column": "Rows that an id divides", "time_column": "Rows in time"}
            problems.append(f"{what[column]} cannot be stratified: drop stratify (stratify=null) or {column}.")
        if self.time_column and (self.split_column or self.group_column or self.id_column):
            problems.append(
                f"time_column={self.time_column} divides the rows; drop split_column, group_column and id_column, or "
                "time_column."
            )
        if self.time_column and self.folds is not None:
            problems.append(
                f"data.folds={self.folds} would train on rows that are newer than those of a fold, and time_column="
                f"{self.time_column} forbids that. Drop one: data.folds=null."
            )
        return problems

    def inner(
        self, table: Columns, targets: Mapping[str, Target], split: np.ndarray, folds: int, fold: int
    ) -> np.ndarray:
        """Return splits as `SplitRules.inner` does.

        Raises:
            UserError: rows are divided by their time, or a split is empty.
        """
        if self.time_column:
            raise UserError(
                f"data.inner_folds={folds} would train on rows that are newer than those of a fold, and time_column="
                f"{self.time_column} forbids that. Drop one: data.inner_folds=null."
            )
        return super().inner(table, targets, split, folds, fold)

    @property
    def reserved(self) -> tuple[str | None, ...]:
        """Columns that divide the rows and so are not inputs unless they are declared; None where there is none."""
        return *super().reserved, self.time_column

    @property
    def times(self) -> tuple[str, ...]:
        """Columns that are read as numbers or dates to divide the rows."""
        return (self.time_column,) if self.time_column else ()

    def strata(self, targets: Mapping[str, Target]) -> str | None:
        """Return the column that the parts are stratified by, or None."""
        if self.stratify is None or any(self.reserved):
            return None
        if self.stratify == AUTO:
            return next((each.columns[0] for each in targets.values() if each.kind in (*NAMED, "multilabel")), None)
        target = targets.get(self.stratify)
        return self.stratify if target is None else target.columns[0]

    def _by_share(self, table: Columns, targets: Mapping[str, Target], parts: Fractions) -> np.ndarray:
        if self.time_column is None:
            return super()._by_share(table, targets, parts)
        times = table.number(self.time_column)
        if (bad := np.flatnonzero(np.isnan(times))).size:
            place = table.place(self.time_column)
            raise place.error(int(bad[0]), "the row has no time", "Fill it in, or drop time_column.")
        return by_time(times, parts)

    @property
    def _by(self) -> str:
        return f" by time_column={self.time_column}" if self.time_column else super()._by
