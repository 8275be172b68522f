"""Training and validation rows that are divided anew, whatever a dataset's own splits are; test rows stay apart."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mtl_cli.batch import FieldSpec, LabelledSplit, Sample, Split, Values, one_row, stacked
from mtl_cli.errors import UserError

SEED = 20180801
"""Seed of the folds; no option of a run changes them, so that all runs of a search have the same."""


@dataclass(frozen=True)
class Division:
    """How training and validation rows are divided anew; by default they are not."""

    folds: int | None = None
    """Folds of both together."""
    fold: int = 0
    """The one that validates."""
    together: bool = False
    """Whether validation rows are trained on too."""

    @property
    def none(self) -> bool:
        """Whether the dataset's own division stays."""
        return self.folds is None and not self.together

    def part(self, name: str, split: Callable[[str], Split], specs: Mapping[str, FieldSpec]) -> Split:
        """Return the rows of "train", "val" or "test" of a dataset whose own splits `split` gives.

        Raises:
            UserError: there are more folds than rows.
        """
        if self.none or name == "test" or (self.together and name == "val"):
            return split(name)
        parts = [split("train"), split("val")]
        number = sum(map(len, parts))
        return joined(parts, torch.arange(number) if self.together else self.rows(number)[name], specs)

    def rows(self, number: int) -> dict[str, Tensor]:
        """Return which of `number` rows are trained on and validate.

        The permutation is NumPy's legacy one, whose stream is frozen, so that folds never change with a version.
        """
        assert self.folds is not None
        check_folds(self.folds, number)
        held = np.zeros(number, dtype=bool)
        held[np.random.RandomState(SEED).permutation(number)[self.fold :: self.folds]] = True
        return {"train": torch.from_numpy(np.flatnonzero(~held)), "val": torch.from_numpy(np.flatnonzero(held))}


def check_folds(folds: int, rows: int) -> None:
    """Refuse more folds than rows.

    Raises:
        UserError: there are.
    """
    if folds > rows:
        raise UserError(
            f"data.inner_folds is {folds}, and there are {rows} training and validation rows. Use fewer folds: "
            f"data.inner_folds={max(2, min(5, rows))}."
        )


def joined(parts: Sequence[Split], rows: Tensor, specs: Mapping[str, FieldSpec]) -> Split:
    """Return some rows of several splits as one split; `rows` [M] count from the first row of the first one."""
    labelled = all(isinstance(part, LabelledSplit) for part in parts)
    return (JoinedLabels if labelled else Joined)(parts, rows, specs)


class Joined(Split):
    """Some rows [M] of several splits, fetched from each and put in order."""

    def __init__(self, parts: Sequence[Split], rows: Tensor, specs: Mapping[str, FieldSpec]) -> None:
        self.parts, self.rows, self.specs = tuple(parts), rows, specs
        self._starts = torch.tensor([0, *map(len, parts)]).cumsum(0).tolist()
        lengths, alike = [part.lengths for part in parts], [part.alike for part in parts]
        known = [each for each in lengths if each is not None]
        self.lengths = torch.cat(known)[rows] if len(known) == len(parts) else None
        numbers = [each for each in alike if each is not None]
        if len(numbers) == len(parts):  # each part numbers its sizes for itself
            first = np.cumsum([0, *(int(each.max()) + 1 if len(each) else 0 for each in numbers)]).tolist()
            self.alike = torch.cat([each + more for each, more in zip(numbers, first, strict=False)])[rows]

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.rows)

    def _found(self, indices: Tensor) -> list[tuple[Split, Tensor, Tensor]]:
        """Return the parts that have some of the rows at `indices` [B]: which of theirs, and their places."""
        numbers = self.rows[indices.cpu()]
        found = []
        for part, start, stop in zip(self.parts, self._starts, self._starts[1:], strict=False):
            places = ((numbers >= start) & (numbers < stop)).nonzero().flatten()
            if len(places):
                found.append((part, numbers[places] - start, places))
        return found

    def __getitems__(self, indices: Tensor) -> Sample:
        """Return the rows at `indices` [B], in that order."""
        found = self._found(indices)
        samples = [part.__getitems__(own) for part, own, _ in found]
        if len(samples) == 1:
            return samples[0]
        order = torch.cat([places for _, _, places in found]).argsort()
        if same_shapes(samples):
            inputs = merged([sample.inputs for sample in samples], order)
            fields = merged([sample.fields for sample in samples], order)
            assert not isinstance(fields, Tensor)
            return Sample(inputs, fields)
        rows = [one_row(sample, place, self.specs) for sample in samples for place in range(rows_of(sample))]
        return stacked([rows[place] for place in order.tolist()], self.specs)

    def apart(self, indices: Tensor, specs: Mapping[str, FieldSpec]) -> list[Sample]:
        """Return the rows at `indices` [B] one by one, as each part does."""
        rows: dict[int, Sample] = {}
        for part, own, places in self._found(indices):
            rows |= dict(zip(places.tolist(), part.apart(own, specs), strict=True))
        return [rows[place] for place in range(len(indices))]

    def fields_of(self, indices: Tensor, names: Sequence[str]) -> Mapping[str, Tensor]:
        """Return label fields of the rows at `indices` [B]."""
        found = self._found(indices)
        fields = [part.fields_of(own, names) for part, own, _ in found]
        if len(fields) == 1:
            return fields[0]
        if not all(fields[0][name].shape[1:] == each[name].shape[1:] for each in fields for name in names):
            return self.__getitems__(indices).fields
        order = torch.cat([places for _, _, places in found]).argsort()
        chosen = merged([{name: each[name] for name in names} for each in fields], order)
        assert not isinstance(chosen, Tensor)
        return chosen

    def to(self, device: torch.device) -> Split:
        """Return the split with its tensors on `device`, where its parts can be moved."""
        moved = [part.to(device) for part in self.parts]
        if all(one is other for one, other in zip(moved, self.parts, strict=True)):
            return self
        return type(self)(moved, self.rows, self.specs)


class JoinedLabels(Joined, LabelledSplit):
    """Some rows of several splits whose labels are in memory."""

    def labels(self, field: str) -> Tensor:
        """Return all labels of a field [M, ...], on the host."""
        parts = [part.labels(field) for part in self.parts if isinstance(part, LabelledSplit)]
        return torch.cat(parts)[self.rows]


def rows_of(sample: Sample) -> int:
    """Return the number of rows of a sample."""
    values = sample.inputs
    return len(values if isinstance(values, Tensor) else next(iter(values.values())))


def same_shapes(samples: Sequence[Sample]) -> bool:
    """Return whether all rows have tensors of one shape."""

    def shapes(values: Values) -> list[tuple[int, ...]]:
        named = {"": values} if isinstance(values, Tensor) else values
        return [tuple(value.shape[1:]) for value in named.values()]

    return all(
        shapes(sample.inputs) == shapes(samples[0].inputs) and shapes(sample.fields) == shapes(samples[0].fields)
        for sample in samples
    )


def merged(values: Sequence[Values], order: Tensor) -> Values:
    """Return rows of several tensors, or mappings of tensors, one behind the other, then in the given order [B]."""
    first = values[0]
    if isinstance(first, Tensor):
        together = torch.cat([value for value in values if isinstance(value, Tensor)])
        return together.index_select(0, order.to(together.device))
    named = [value for value in values if not isinstance(value, Tensor)]
    return {name: merged([each[name] for each in named], order) for name in first}  # type: ignore[misc]  # a mapping, too
