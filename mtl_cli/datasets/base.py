"""What a dataset is: a source with three splits, each fetched by whole batches."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from mtl_cli.batch import FieldSpec, InputPlace, InputSpec, LabelledSplit, Sample, Split, WantedField
from mtl_cli.datasets.division_base import Division
from mtl_cli.datasets.reading_base import Reading
from mtl_cli.errors import UserError
from mtl_cli.tables.given import Given
from mtl_cli.tables.whole_column import WholeColumn

if TYPE_CHECKING:
    from mtl_cli.texts.tokenizer import TextTokenizer

SPLITS = ("train", "val", "test")


class Dataset(Protocol):
    """The least that one split must offer: rows that are fetched by whole batches, without any code per sample.

    Besides these two methods a split may offer what `mtl_cli.batch.Split` and `LabelledSplit` describe, without being a
    subclass of them: `labels(field)`, all labels [N, ...]; `lengths` [N]; `to(device)`.
    """

    def __len__(self) -> int:
        """Number of rows."""
        ...

    def __getitems__(self, indices: Tensor) -> Sample:
        """Return the rows at `indices` [B], in that order."""
        ...


def as_split(dataset: Dataset) -> Split:
    """Return a user's dataset as a `Split`: the only place that asks what it offers."""
    if isinstance(dataset, Split):
        return dataset
    return AdaptedLabels(dataset) if hasattr(dataset, "labels") else Adapted(dataset)


class Adapted(Split):
    """Makes a dataset that is not a `Split` into one."""

    def __init__(self, dataset: Any) -> None:  # noqa: ANN401  a Dataset that may offer more
        self.dataset = dataset
        self.lengths = getattr(dataset, "lengths", None)

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.dataset)

    def __getitems__(self, indices: Tensor) -> Sample:
        """Return the rows at `indices` [B], in that order."""
        return self.dataset.__getitems__(indices)

    def to(self, device: torch.device) -> Split:
        """Return the split on `device`, where it can be moved."""
        return type(self)(self.dataset.to(device)) if hasattr(self.dataset, "to") else self


class AdaptedLabels(Adapted, LabelledSplit):
    """Makes a dataset that is not a `Split`, but can give all labels, into a `LabelledSplit`."""

    def labels(self, field: str) -> Tensor:
        """Return all labels of a field [N, ...], on the host."""
        return self.dataset.labels(field).cpu()


class Augmentation(ABC):
    """Changes rows at random as they are drawn for training: inputs and label fields together.

    It is called for each row under a seed of its own, which is made of the run's seed, the dataset's name, the number
    of the draw and the row's place in it. It draws from torch's default generator. So a batch depends neither on the
    number of reading processes nor on resuming. Evaluation augments only for the tasks on the fields that it `adds`.
    """

    adds: Mapping[str, FieldSpec] = {}
    """Fields that it adds, such as the turn of a rotation."""
    keeps_labels: bool = True
    """Whether a row keeps all of its labels; a crop may cut some off."""
    shortens: float = 1.0
    """How many times shorter a sequence may become."""

    @abstractmethod
    def __call__(self, row: Sample) -> Sample:
        """Return a changed row; it has no batch dimension, and sets of a `varying` field come without padding."""


class DataSource(ABC):
    """A dataset, built with the arguments of its YAML.

    Its life has four steps, of which any may end in a `UserError` where files are bad:

    1. It is built. A source that has nothing to fit may read its files now.
    2. `want` says which label fields the tasks need.
    3. `load_state_dict` gives it the state of a checkpoint, where there is one.
    4. `open` reads the files once, and fits what there is to fit unless a state was loaded.

    `input_spec` and `field_specs` are there after `open`, and after `load_state_dict` with a state that is not empty.
    """

    input_spec: InputSpec
    field_specs: Mapping[str, FieldSpec]
    batch_size: int
    balance: str | None = None
    """Class field whose classes are drawn equally often in training; None draws every row once per pass."""
    augmentation: Augmentation | None = None
    """What changes training rows when they are drawn."""
    division: Division = Division()
    """How training and validation rows are divided anew; set before `open`."""

    def want(self, fields: Sequence[WantedField]) -> None:
        """Take note of the label fields that the tasks need, one per task; called once, before anything else.

        A source that reads its fields by their names extends this. The fields of other sources are fixed, so these
        refuse a task that says how its field is read.

        Raises:
            UserError: a field cannot be read as a task says.
        """
        problems = [
            f"tasks.{each.task}.{key} says how a label is read; {type(self).__name__} has labels of its own. Leave it "
            f"out: ~tasks.{each.task}.{key}."
            for each in fields
            for key in each.reading
        ]
        if problems:
            raise UserError(problems)

    def open(self) -> None:  # noqa: B027  most sources read their files when they are built
        """Read the files, and fit on training rows unless a state was loaded. Called once, before any split is used."""

    @abstractmethod
    def split(self, name: str) -> Dataset:
        """Return the rows of "train", "val" or "test"."""

    def full_split(self, name: str) -> Split:
        """Return the rows of "train", "val" or "test" as a `Split`, divided anew where that is asked for.

        A source that fits on training rows must do so on those of its `division`; it overrides this.
        """
        return self.division.part(name, lambda own: as_split(self.split(own)), self.field_specs)

    @property
    def all_fields(self) -> dict[str, FieldSpec]:
        """The label fields of training rows: its own, and those that the augmentation adds."""
        return {**self.field_specs, **(self.augmentation.adds if self.augmentation else {})}

    def files(self) -> Mapping[str, Sequence[Path]]:
        """Return the files that rows are read from, by a name such as the option that gives them.

        Their content is known to checkpoints: a run does not go on with other data, and evaluations say so. Files of
        one name have one digest. May be called before `open`; a source without files returns nothing.

        Raises:
            UserError: a file is missing.
        """
        return {}

    def files_of(self, split: str) -> Sequence[str]:
        """Return which of `files`, by name, the rows of a split are read from; all of them by default."""
        return tuple(self.files())

    @property
    def rows_stay(self) -> bool:
        """Whether a row's split depends on this row alone, so that rows which are added do not move others."""
        return False

    def example(self) -> Sample:
        """Return two training samples, real ones where shapes depend on them, for the dry run that finds shapes."""
        train = self.full_split("train")
        return train.__getitems__(torch.arange(min(2, len(train))))

    def reads(self, path: Path) -> bool:
        """Return whether `reading` may be called with a file or folder of that name; only the name is looked at."""
        return False

    def reading(self, path: Path) -> Reading:
        """Return the new inputs in a file or folder, by what was fitted or loaded; `open` is not needed for it.

        Raises:
            UserError: they cannot be read.
        """
        raise UserError(f"{type(self).__name__} cannot read new inputs, such as {path}.")

    def reading_of(self, inputs: Given) -> Reading | None:
        """Return new inputs that are in memory, by what was fitted or loaded; None where it reads none of that form.

        Rows are named by their numbers, from 0.

        Raises:
            UserError: they are of a form that it reads, but cannot be used.
        """
        return None

    def preprocessing(self) -> dict[str, Any] | None:
        """Return how inputs in memory become the model's as plain data, for a bundle; None where it cannot be said.

        The kinds are those of `mtl_cli.bundles.encoders`.
        """
        return None

    def given_rows(self, split: str, most: int) -> Given | None:
        """Return the inputs of the first rows of a split as they were before preprocessing; None where they are lost.

        Raises:
            UserError: the files of the run cannot be read.
        """
        return None

    def labelled_rows(self, path: Path) -> Dataset:
        """Return all rows of a file with their labels, by what was loaded; `open` is not needed for it.

        A label field that the file lacks is missing in every row.

        Raises:
            UserError: they cannot be read.
        """
        raise UserError(f"{type(self).__name__} cannot read rows with labels from a file, such as {path}.")

    def named_inputs(self) -> Mapping[str, Sequence[InputPlace]]:
        """Return where each named input lies, such as a column of a table; pixels have no names."""
        return {}

    @property
    def tokenizer(self) -> "TextTokenizer | None":
        """What cuts texts into pieces, where inputs are pieces."""
        return None

    @property
    def group_column(self) -> str | None:
        """The column whose groups of rows stay in one split, such as patients, where there is one."""
        return None

    def column(self, name: str, split: str) -> WholeColumn:
        """Return any column of the data for the rows of "train", "val" or "test", or "input" after `labelled_rows`.

        Raises:
            UserError: there is no such column.
        """
        raise UserError(
            f"{type(self).__name__} has no columns, so its rows cannot be compared by '{name}'. Datasets of files "
            "have: tabular, text, images, arrays and conll."
        )

    def state_dict(self) -> dict[str, Any]:
        """Return what was fitted on the training split and must travel with a checkpoint: tensors and plain data."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what an earlier run fitted, in place of fitting; called before `open`."""
        assert not state, f"{type(self).__name__} keeps no state"


def checked_batch_size(batch_size: int) -> int:
    """Return the batch size.

    Raises:
        ValueError: it is below 1.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}; a batch holds 1 sample or more. Use data.batch_size=128.")
    return batch_size
