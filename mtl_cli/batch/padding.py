"""Sets of entries and maps of any size as one tensor, and rows joined to a batch."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from mtl_cli.batch.samples import Sample, Values, change_values
from mtl_cli.batch.specs import MISSING_CLASS, FieldSpec, labelled

NO_ENTRY, NO_CLASS = -torch.inf, -101
"""An entry that is not there, of floats and of integers; `pad_sets` fills the smaller sets of a batch up with it."""


def pad_sets(rows: Sequence[Tensor | None], shape: Sequence[int], dtype: torch.dtype = torch.float32) -> Tensor:
    """Return sets of entries, each [n, *shape], as one target [B, N, *shape], N ≥ 1 being the size of the largest.

    Beyond a set's own entries the target holds `NO_ENTRY` (integers: `NO_CLASS`). A row that is None has no label. All
    of its values are missing (NaN, integers −100), which distinguishes it from an empty set.
    """
    floats = dtype.is_floating_point
    size = max([1, *(len(row) for row in rows if row is not None)])
    target = torch.full((len(rows), size, *shape), NO_ENTRY if floats else NO_CLASS, dtype=dtype)
    for place, row in zip(target, rows, strict=True):
        if row is None:
            place.fill_(torch.nan if floats else MISSING_CLASS)
        else:
            place[: len(row)] = row
    return target


def set_entries(target: Tensor) -> Tensor:
    """True where a set of `target` [B, N, ...] has an entry [B, N]."""
    first = target.flatten(2)[:, :, 0] if target.ndim > 2 else target
    return first.isfinite() if target.is_floating_point() else (first != NO_CLASS) & (first != MISSING_CLASS)


def set_labelled(target: Tensor) -> Tensor:
    """True for the rows [B] of `target` [B, N, ...] that are labelled, also those whose set is empty."""
    return labelled(target.flatten(1)[:, 0])


def sets_of(target: Tensor) -> list[Tensor | None]:
    """Return the sets that `pad_sets` joined, None for a row without a label."""
    there, known = set_entries(target), set_labelled(target)
    return [row[mark] if labelled_row else None for row, mark, labelled_row in zip(target, there, known, strict=True)]


PLAIN = FieldSpec("real")
"""Spec of a field that is not a label: one number per row, such as its weight."""


def one_row(sample: Sample, place: int, specs: Mapping[str, FieldSpec]) -> Sample:
    """Return one row without a batch dimension; a `varying` field without its padding, left out where not labelled."""
    row = change_values(lambda value: value[place], sample.inputs)
    fields: dict[str, Tensor] = {}
    for name, values in sample.fields.items():
        (own,) = sets_of(values[place : place + 1]) if specs.get(name, PLAIN).varying else [values[place]]
        if own is not None:
            fields[name] = own
    return Sample(row, fields)


def stacked(rows: Sequence[Sample], specs: Mapping[str, FieldSpec]) -> Sample:
    """Return rows without a batch dimension, such as `one_row` makes, as a batch; `pad_maps` joins maps of any size."""
    first = rows[0].inputs
    if isinstance(first, Tensor):
        inputs: Values = pad_maps([row.inputs for row in rows if isinstance(row.inputs, Tensor)], 0.0)
    else:
        inputs = {
            name: pad_maps([row.inputs[name] for row in rows if not isinstance(row.inputs, Tensor)], 0.0)
            for name in first
        }
    return Sample(inputs, stacked_fields([row.fields for row in rows], specs))


def stacked_fields(rows: Sequence[Mapping[str, Tensor]], specs: Mapping[str, FieldSpec]) -> dict[str, Tensor]:
    """Return label fields of rows as those of a batch."""
    fields = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        own = [row.get(name) for row in rows]
        present = [field for field in own if field is not None]
        spec = specs.get(name, PLAIN)
        missing = torch.nan if present[0].is_floating_point() else MISSING_CLASS
        fields[name] = pad_sets(own, spec.shape, present[0].dtype) if spec.varying else pad_maps(present, missing)
    return fields


def pad_maps(maps: Sequence[Tensor], fill: float) -> Tensor:
    """Return tensors stacked; those of different height and width [..., H, W] are filled up at the bottom and right.

    So are vectors [L] of different lengths.
    """
    if all(each.shape == maps[0].shape for each in maps):
        return torch.stack(list(maps))
    if maps[0].ndim == 1:
        return pad_sequence(list(maps), batch_first=True, padding_value=fill)
    height, width = (max(each.shape[axis] for each in maps) for axis in (-2, -1))
    return torch.stack([filled_up(each, (height, width), fill) for each in maps])


def filled_up(values: Tensor, size: tuple[int, int], fill: float) -> Tensor:
    """Return values [..., h, w] filled up at the bottom and right to `size` (H, W)."""
    if values.shape[-2:] == size:
        return values
    target = values.new_full((*values.shape[:-2], *size), fill)
    target[..., : values.shape[-2], : values.shape[-1]] = values
    return target
