"""Which rows of the training data a step had, and which of them are not finite: looked up when a step went wrong."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

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
        rows = torch.cat([stream.order.rows(draw) for draw in range(start, start + accumulate)])
        sample = stream.dataset.__getitems__(rows)
        inputs = [sample.inputs] if isinstance(sample.inputs, Tensor) else list(sample.inputs.values())
        wrong = torch.zeros(len(rows), dtype=torch.bool)
        for values in inputs:
            if values.is_floating_point():
                wrong |= ~values.isfinite().flatten(1).all(dim=1).cpu()
        infinite = torch.zeros(len(rows), dtype=torch.bool)
        for field in set(stream.targets.values()):
            target = sample.fields[field]
            if target.is_floating_point():  # NaN is a missing label
                infinite |= target.isinf().reshape(len(rows), -1).any(dim=1).cpu()
        found[dataset] = BadRows(rows.tolist(), rows[wrong].tolist(), rows[infinite].tolist())
    return found


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
