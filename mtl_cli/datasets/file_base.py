"""What datasets that are read from files have in common: the splits' files and rows, labels, what was fitted."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from mtl_cli.batch import Split
from mtl_cli.config.options import Options, option
from mtl_cli.datasets.base import Dataset, DataSource, as_split
from mtl_cli.errors import UserError
from mtl_cli.storage import on_disk
from mtl_cli.tables.groups import check_groups_apart
from mtl_cli.tables.labels import Columns, FittedTarget, Target
from mtl_cli.tables.paths import data_path
from mtl_cli.tables.split_rules import SPLITS, SplitRules
from mtl_cli.tables.whole_column import WholeColumn, column_of_values


class FileRows(Columns, Protocol):
    """The rows of one file."""

    path: Path

    def has(self, name: str) -> bool:
        """True for a column that was read."""
        ...


Rows = TypeVar("Rows", bound=FileRows)
T = TypeVar("T")
Maker = Callable[[np.ndarray], Dataset]
"""Makes the dataset of some rows of a file from their numbers [N]."""


@dataclass(frozen=True, kw_only=True)
class FileOptions(Options):
    """The file of a dataset, and how many of its rows a step takes."""

    root: str | None
    """Folder that all paths must lie in; None is the working directory."""
    path: str
    """The file; its rows are divided unless val_path and test_path name the other splits."""
    batch_size: int = option(example=128, low=1)
    """Rows drawn per step."""


@dataclass(frozen=True, kw_only=True)
class BalancedFileOptions(FileOptions):
    """The file of a dataset, and which of its rows a step takes."""

    balance: str | None
    """Class field whose classes are drawn equally often in training; None draws every row once per pass."""


class FileSource(DataSource, Generic[Rows]):
    """A dataset of one file whose rows are divided, or of one file per split.

    A subclass says how a file is read (`read_rows`), what is fitted on training rows (`fit`), how rows become a dataset
    (`encode`), and what of it a checkpoint keeps (`input_state`, `load_inputs`). Where a state was loaded, nothing is
    fitted.

    Args:
        files: the file.
        splits: how its rows are divided.
        targets: what labels the rows have; they may be what rows are stratified by.
    """

    unit: ClassVar[str] = "row"
    """What a row of the file is called."""
    fitted_kind: ClassVar[Any] = FittedTarget
    """Class of the fitted targets, with `state`, `of` and `field_spec`."""

    def __init__(self, *, files: FileOptions, splits: SplitRules, targets: Mapping[str, Target]) -> None:
        self.batch_size = files.batch_size
        self.balance = files.balance if isinstance(files, BalancedFileOptions) else None
        self._root, self._rules = files.root, splits
        self._paths = {"path": files.path, "val_path": splits.val_path, "test_path": splits.test_path}
        self._targets = dict(targets)
        self._fitted: dict[str, Any] = {}
        self._splits: dict[str, Dataset] = {}
        self._places: dict[str, tuple[Rows, np.ndarray]] = {}
        self._was_loaded = False
        self._new_file = Path()

    @abstractmethod
    def read_rows(self, key: str) -> Rows:
        """Return the rows of the file that the option `key` names: path, val_path or test_path; path comes first.

        With a loaded state `key` may also be "input": a file of another place (`path_of`) that is not divided.
        """

    @abstractmethod
    def fit(self, found: Rows, rows: np.ndarray) -> None:
        """Fit inputs and targets on the training `rows` [N] of a file, and keep them (`keep_targets`)."""

    @abstractmethod
    def encode(self, found: Rows) -> Maker:
        """Return what makes a dataset of some rows of a file, by what was fitted."""

    def maker(self, found: Rows) -> Maker:
        """Return what `encode` does, with label fields that the subclasses of a base have in common."""
        return self.encode(found)

    @abstractmethod
    def input_state(self) -> dict[str, Any]:
        """Return what was fitted of inputs, for a checkpoint."""

    @abstractmethod
    def load_inputs(self, state: Mapping[str, Any]) -> None:
        """Take over what `input_state` returned."""

    def open(self) -> None:
        """Read the files, divide the rows, and fit on the training rows unless a state was loaded.

        Raises:
            UserError: a file cannot be used; file, row or line, and column are named.
        """
        parts = self.divide()
        if not self._was_loaded:
            self.fit(*parts["train"])
        makers: dict[int, Maker] = {}
        for name, (found, rows) in parts.items():
            if id(found) not in makers:
                makers[id(found)] = self.maker(found)
            self._splits[name] = makers[id(found)](rows)
            self._places[name] = found, self.kept(found, rows)

    def kept(self, found: Rows, rows: np.ndarray) -> np.ndarray:
        """Return those of some rows [N] of a file that its dataset holds; all of them by default."""
        return rows

    @property
    def group_column(self) -> str | None:
        """The column whose groups of rows stay in one split."""
        return self._rules.group_column

    def column(self, name: str, split: str) -> WholeColumn:
        """Return any column of the file for the rows of a split.

        Raises:
            UserError: the file has no such column.
        """
        found, rows = self._places[split]
        column = self.whole_column(found, name).at(rows)
        if not (column.codes >= 0).any():
            raise UserError(f"{found.path} has no value of '{name}' in the rows of {split}, to compare them by.")
        return column

    def whole_column(self, found: Rows, name: str) -> WholeColumn:
        """Return a column for all rows of a file.

        Raises:
            UserError: the file has no such column.
        """
        if not found.has(name):
            raise UserError(f"{found.path} has no column '{name}', so its rows cannot be compared by it.")
        return column_of_values(*found.text(name))

    def labelled_rows(self, path: Path) -> Dataset:
        """Return all rows of a file with their labels, by what was loaded."""
        assert self._was_loaded, "what was fitted is known"
        self._new_file = path
        found = self.read_rows("input")
        if not len(found):
            raise UserError(f"{path} has no {self.unit}s, so there is nothing to evaluate. Give another input=FILE.")
        rows = every_row(found)
        self._places["input"] = found, self.kept(found, rows)
        return self.maker(found)(rows)

    def split(self, name: str) -> Dataset:
        """Return the rows of "train", "val" or "test"."""
        return self._splits[name]

    def full_split(self, name: str) -> Split:
        """Return the same as a `Split`; the division is that of `divide`, on whose training rows was fitted."""
        return as_split(self._splits[name])

    def state_dict(self) -> dict[str, Any]:
        """Return what was fitted of the inputs, and the fitted targets."""
        return {**self.input_state(), "targets": {name: each.state() for name, each in self._fitted.items()}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what an earlier run fitted; nothing is fitted then."""
        self._was_loaded = True
        self.load_inputs(state)
        self.keep_targets({name: self.fitted_kind.of(each) for name, each in state["targets"].items()})

    def keep_targets(self, fitted: Mapping[str, Any]) -> None:
        """Keep the fitted targets."""
        self._fitted = dict(fitted)
        self.field_specs = {name: each.field_spec for name, each in fitted.items()}

    def path_of(self, key: str) -> Path:
        """Return where the file that the option `key` names lies.

        Raises:
            UserError: there is no such file, or it lies outside the root.
        """
        return self._new_file if key == "input" else data_path(str(self._paths[key]), self._root, key)

    def files_at(self, path: Path) -> list[Path]:
        """Return the files that are read from a path: the one file, or all files of a folder."""
        return [path] if path.is_file() else sorted(each for each in path.rglob("*") if each.is_file())

    def files(self) -> dict[str, list[Path]]:
        """Return the files of each option that names some: path, val_path, test_path."""
        return {key: self.files_at(self.path_of(key)) for key, value in self._paths.items() if value}

    def files_of(self, split: str) -> tuple[str, ...]:
        """Return the option whose file holds the rows of a split."""
        own = f"{split}_path"
        return (own,) if self._paths.get(own) else ("path",)

    @property
    def rows_stay(self) -> bool:
        """Whether a column of the row alone says which split it is in."""
        return self._rules.rows_stay

    def present_targets(self, found: Rows) -> dict[str, Target]:
        """Return the targets that a file has; with a loaded state it may lack some."""
        return {name: each for name, each in self._targets.items() if all(map(found.has, each.columns))}

    def divide(self) -> dict[str, tuple[Rows, np.ndarray]]:
        """Return the file of each split, and which of its rows are in it."""
        main = self.read_rows("path")
        if len(main) < 2:
            raise UserError(
                f"{main.path} has {len(main)} {self.unit}{'s' * (len(main) != 1)}; training needs 2 or more."
            )
        split = self._rules.assign(main, self.present_targets(main))
        if self.division.folds is not None:
            split = self._rules.inner(main, self.present_targets(main), split, self.division.folds, self.division.fold)
        parts = {name: (main, np.flatnonzero(split == number)) for name, number in SPLITS.items()}
        if self.division.together:
            parts["train"] = main, np.flatnonzero(split != SPLITS["test"])
        if not self.division.none and self._paths["val_path"]:
            raise UserError(
                f"val_path={self._paths['val_path']} keeps validation rows in a file of their own, so that they cannot "
                "be joined with training rows (data.inner_folds, data.train_on). Put all rows into one file, with a "
                "split_column."
            )
        for name in ("val", "test"):
            if self._paths[f"{name}_path"]:
                other = self.read_rows(f"{name}_path")
                if not len(other):
                    raise UserError(
                        f"{other.path} has no {self.unit}s, so the {name} split is empty. Give another {name}_path."
                    )
                parts[name] = other, every_row(other)
        if group := self._rules.group_column:
            files = {id(found): found for found, _ in parts.values() if found.has(group)}
            check_groups_apart(list(files.values()), group)
        return parts


def every_row(found: Rows) -> np.ndarray:
    """Return the numbers of all rows of a file."""
    return torch.arange(len(found), out=on_disk.empty((len(found),), torch.int64)).numpy()


def fitted(value: T | None) -> T:
    """Return a value that a source has once it is opened or was given a state."""
    assert value is not None, "the source is opened, or was given a state"
    return value


def taken(fields: Mapping[str, Tensor], rows: np.ndarray) -> dict[str, Tensor]:
    """Return label fields [N, ...] of some rows."""
    at = torch.from_numpy(rows)
    return {name: on_disk.taken(field, at) for name, field in fields.items()}
