"""Which rows of the training data a step had, and which of them are not finite: looked up when a step went wrong."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from mtl_cli.batch import NO_ENTRY, Sample
from mtl_cli.training.loading import Stream

SHOWN = 8
"""Rows that a message lists."""


@dataclass(frozen=True)
class BadRows:
    """The rows of one dataset in a step, and those whose inputs or targets are not finite; indices count from 0."""

    rows: list[int]
    inputs: list[int]
    targets: list[int]

    @property
    def is_cause(self) -> bool:
        """True where the data themselves are not finite."""
        return bool(self.inputs or self.targets)


def bad_rows(streams: Mapping[str, Stream], draws: Mapping[str, int], accumulate: int) -> dict[str, BadRows]:
    """Return the rows of a step by dataset: `accumulate` draws from the given one on, read once more."""
    found = {}
    for dataset, start in draws.items():
        stream = streams[dataset]
        rows, inputs, targets = [], [], []
        for draw in range(start, start + accumulate):
            indices = stream.order.rows(draw)
            sample = stream.reader.draw(draw, indices)
            fields = {*stream.targets.values(), *(stack.name for stack in stream.stacks)} & set(sample.fields)
            wrong, infinite = not_finite(sample, len(indices), fields)
            rows += indices.tolist()
            inputs += indices[wrong].tolist()
            targets += indices[infinite].tolist()
        found[dataset] = BadRows(rows, inputs, targets)
    return found


def not_finite(sample: Sample, num_rows: int, fields: Collection[str]) -> tuple[Tensor, Tensor]:
    """Return which rows [B] have an input that is not finite, and which an infinite label in one of the fields."""
    values = [sample.inputs] if isinstance(sample.inputs, Tensor) else list(sample.inputs.values())
    wrong, infinite = torch.zeros(num_rows, dtype=torch.bool), torch.zeros(num_rows, dtype=torch.bool)
    for value in values:
        if value.is_floating_point():
            wrong |= ~value.isfinite().flatten(1).all(dim=1).cpu()
    for field in fields:
        target = sample.fields[field]
        if target.is_floating_point():  # NaN is a missing label, and what fills up a set is infinite by design
            beyond = target.isinf() & (target != NO_ENTRY)
            infinite |= beyond.reshape(num_rows, -1).any(dim=1).cpu()
    return wrong, infinite


def describe(found: Mapping[str, BadRows]) -> str:
    """Return sentences about a step's rows: those that are not finite, or all of them where none is."""
    parts = []
    for dataset, each in found.items():
        for kind, wrong in (("inputs", each.inputs), ("targets", each.targets)):
            if wrong:
                parts.append(f"Not finite are the {kind} of {shown(wrong)} of the training data of '{dataset}'.")
    if parts or not found:
        return " ".join(parts)
    rows = "; ".join(f"{shown(each.rows)} of the training data of '{dataset}'" for dataset, each in found.items())
    return f"Its inputs and targets are finite: {rows}."


def shown(rows: list[int]) -> str:
    """Return row numbers as words, the first few of many."""
    words = ", ".join(map(str, rows[:SHOWN]))
    more = f" and {len(rows) - SHOWN} more" if len(rows) > SHOWN else ""
    return f"row{'' if len(rows) == 1 else 's'} {words}{more}"
