"""The options that divide a dataset, checked, and applied to a table."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mtl_cli.config.options import Options, option
from mtl_cli.errors import UserError
from mtl_cli.tables.groups import codes_of
from mtl_cli.tables.labels import Columns, Target
from mtl_cli.tables.splitting import (
    NAMES,
    TEST,
    TRAIN,
    VAL,
    Fractions,
    by_column,
    by_fraction,
    by_group,
    by_id,
)

SPLITS = {"train": TRAIN, "val": VAL, "test": TEST}


@dataclass(frozen=True, kw_only=True)
class SplitRules(Options):
    """Where validation and test rows come from: files of their own, a column, or a share or fold of the one file.

    A share is taken where neither a file nor the column nor a fold gives the split.
    """

    val_path: str | None
    """File of the validation rows."""
    test_path: str | None
    """File of the test rows."""
    split_column: str | None
    """Column that says train, val or test; for CoNLL a key of comments."""
    group_column: str | None
    """Column whose groups each stay in one split; for CoNLL a key of comments, such as newdoc id or document."""
    id_column: str | None = None
    """Column of ids whose hashes divide the rows, so that new rows do not move others; for CoNLL a key of comments."""
    val_fraction: float = option(example=0.15, low=0.0, below=1.0)
    """Share of the rows for validation."""
    test_fraction: float = option(example=0.15, low=0.0, below=1.0)
    """Share of the rows for test."""
    split_seed: int = option(example=0, low=0, below=2.0**32)
    """Seed of the division."""
    folds: int | None
    """Number of folds; the fold `fold` is the test split."""
    fold: int
    """Number of the fold that is the test split, from 0."""

    def problems(self) -> list[str]:
        """Return what is wrong with the options, each and together."""
        problems = super().problems()
        if not problems and self.val_fraction + self.test_fraction >= 1.0:
            total = self.val_fraction + self.test_fraction
            problems.append(f"val_fraction and test_fraction are {total:g} together, which leaves no training rows.")
        if self.folds is not None and (self.folds < 2 or not 0 <= self.fold < self.folds):
            problems.append(
                f"data.fold is {self.fold} of data.folds={self.folds}; folds are 2 or more, counted from 0. "
                "Use for example data.folds=5 data.fold=0."
            )
        if self.folds is not None and self.test_path:
            problems.append(f"data.folds={self.folds} makes a fold the test split, and so does test_path. Drop one.")
        if self.id_column and (self.split_column or self.group_column):
            problems.append(
                f"id_column={self.id_column} divides the rows, those of one id together; drop split_column and "
                "group_column, or id_column."
            )
        if self.split_column and (self.folds is not None or self.val_path or self.test_path or self.group_column):
            problems.append(
                f"split_column={self.split_column} names every row's split; drop data.folds, val_path, test_path and "
                "group_column, or split_column."
            )
        return problems

    def strata(self, targets: Mapping[str, Target]) -> str | None:
        """Return the column that the parts are stratified by, or None."""
        return None

    def columns(self, targets: Mapping[str, Target]) -> list[str]:
        """Return the columns that are read as text to divide the rows."""
        return [name for name in (self.split_column, self.group_column, self.id_column, self.strata(targets)) if name]

    @property
    def reserved(self) -> tuple[str | None, ...]:
        """Columns that divide the rows and so are not inputs unless they are declared; None where there is none."""
        return self.split_column, self.group_column, self.id_column

    @property
    def rows_stay(self) -> bool:
        """Whether a row's split depends on this row alone, so that rows which are added do not move others."""
        return bool(self.split_column or self.id_column)

    @property
    def times(self) -> tuple[str, ...]:
        """Columns that are read as numbers or dates to divide the rows."""
        return ()

    def assign(self, table: Columns, targets: Mapping[str, Target]) -> np.ndarray:
        """Return the split of each row of the main file, int8 [N].

        Raises:
            UserError: a row does not name a split or group, or a split is empty.
        """
        test = 0.0 if self.test_path else self.test_fraction
        parts = Fractions(0.0 if self.val_path else self.val_fraction, test, self.split_seed, self.folds, self.fold)
        if self.split_column:
            split = self._by_column(table, parts)
        elif self.group_column:
            split = by_group(codes_of(table, self.group_column, "group"), parts)
        elif self.id_column:
            split = by_id(table.text(self.id_column)[1], codes_of(table, self.id_column, "id"), parts)
        else:
            split = self._by_share(table, targets, parts)
        self._check_filled(table, split)
        return split

    def inner(
        self, table: Columns, targets: Mapping[str, Target], split: np.ndarray, folds: int, fold: int
    ) -> np.ndarray:
        """Return splits int8 [N] in which the training and validation rows of `split` [N] are divided into folds.

        The fold `fold` validates. Rows of a group or id stay together, and strata are kept, as in the splits.

        Raises:
            UserError: a split is empty, such as with more folds than rows or groups.
        """
        pool = np.flatnonzero(split != TEST)
        parts = Fractions(0.0, 0.0, self.split_seed + 1, folds, fold)  # another seed than that of the test rows
        strata, units = self.strata(targets), len(pool)
        if self.group_column:
            groups = codes_of(table, self.group_column, "group")[pool]
            units = len(np.unique(groups))
            found = by_group(groups, parts)
        elif self.id_column:
            found = by_id(table.text(self.id_column)[1], codes_of(table, self.id_column, "id")[pool], parts)
        else:
            found = by_fraction(len(pool), parts, table.text(strata)[0][pool] if strata else None)
        if folds > units:
            raise UserError(
                f"{table.place('').path}: data.inner_folds={folds} is more than its {units} training and validation "
                f"{'groups' if self.group_column else 'rows'}{self._by}. Use fewer folds: "
                f"data.inner_folds={max(2, min(5, units))}."
            )
        inner = split.copy()
        inner[pool] = np.where(found == TEST, VAL, TRAIN)
        if missing := [name for name in ("train", "val") if not (inner == SPLITS[name]).any()]:
            raise UserError(
                f"{table.place('').path}: the {missing[0]} split is empty with data.inner_folds={folds} "
                f"data.inner_fold={fold} of {len(pool)} rows{self._by}. Use fewer folds: data.inner_folds=2."
            )
        return inner

    def _by_share(self, table: Columns, targets: Mapping[str, Target], parts: Fractions) -> np.ndarray:
        strata = self.strata(targets)
        return by_fraction(len(table), parts, table.text(strata)[0] if strata else None)

    def _by_column(self, table: Columns, parts: Fractions) -> np.ndarray:
        assert self.split_column is not None
        codes, values = table.text(self.split_column)
        split, bad = by_column(values, codes)
        if bad is not None:
            found = f"'{values[codes[bad]]}'" if codes[bad] >= 0 else "no value"
            raise table.place(self.split_column).error(bad, f"{found} names no split", f"Known: {', '.join(NAMES)}.")
        # Many files have two kinds of rows only; the third is a share of the training rows.
        train = np.flatnonzero(split == TRAIN)
        if not (split == VAL).any():
            split[train[by_fraction(len(train), dataclasses.replace(parts, test=0.0), None) == VAL]] = VAL
        elif not (split == TEST).any():
            split[train[by_fraction(len(train), dataclasses.replace(parts, val=0.0), None) == TEST]] = TEST
        return split

    def _check_filled(self, table: Columns, split: np.ndarray) -> None:
        own_file = {"train": None, "val": self.val_path, "test": self.test_path}
        empty = [name for name, number in SPLITS.items() if not own_file[name] and not (split == number).any()]
        if empty:
            rows = "1 row" if len(split) == 1 else f"{len(split)} rows"
            where = f"{table.place('').path}: the"
            raise UserError(
                [f"{where} {name} split is empty with {self._how(name)} of {rows}. {self._fix(name)}" for name in empty]
            )

    def _how(self, name: str) -> str:
        """Return the options that say which rows are in a split."""
        if name == "train":
            return f"val_fraction={self.val_fraction} and test_fraction={self.test_fraction}"
        if name == "test" and self.folds is not None:
            return f"data.folds={self.folds} data.fold={self.fold}"
        if self.split_column:
            return f"split_column={self.split_column}"
        share = f"{name}_fraction={self.val_fraction if name == 'val' else self.test_fraction}"
        return share + self._by

    @property
    def _by(self) -> str:
        """The column that shares go by, in words, or nothing."""
        found = {"group_column": self.group_column, "id_column": self.id_column}
        return "".join(f" by {key}={name}" for key, name in found.items() if name)

    def _fix(self, name: str) -> str:
        """Return what fills an empty split."""
        if name == "train":
            return "Use more rows, use smaller shares."
        return f"Use more rows, give it a file ({name}_path=FILE) or a share ({name}_fraction=0.2)."
