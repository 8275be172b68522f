"""What training must know of the labels of each task: one pass over the training split, or what a checkpoint tells."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from mtl_cli.batch import FieldSpec
from mtl_cli.config.targets import Component
from mtl_cli.datasets.base import SPLITS, DataSource
from mtl_cli.errors import UserError, nearest, some
from mtl_cli.runs.components import SUMMARIES
from mtl_cli.runs.data_files import state_of_files
from mtl_cli.tasks.base import Task
from mtl_cli.tasks.summary_base import ClassCounts, LabelSummary
from mtl_cli.training.reading import augmented_alike

logger = logging.getLogger("mtl_cli")
ROWS = 16
"""Rows that are read at a time where fields are added by an augmentation."""


@dataclass(frozen=True)
class Wanted:
    """What a task asks of its dataset: a label field, for a kind of task."""

    field: str
    kind: type[Task]


_known: WeakKeyDictionary[DataSource, dict[Wanted, LabelSummary]] = WeakKeyDictionary()
"""Summaries of sources that stay open from job to job of a sweep."""


def wanted_by(components: Mapping[str, Component]) -> dict[str, Wanted]:
    """Return what each task asks for."""
    found = {}
    for name, component in components.items():
        assert issubclass(component.cls, Task), "checked when it was bound"
        found[name] = Wanted(str(component.arguments.get("target")), component.cls)
    return found


def check_fields(
    wanted: Mapping[str, Wanted], sources: Mapping[str, DataSource], dataset_of: Mapping[str, str]
) -> None:
    """Look for tasks whose dataset lacks their field, and for sampling that no field can balance.

    Raises:
        UserError: all of them.
    """
    problems = []
    for name, each in wanted.items():
        fields = sources[dataset_of[name]].all_fields
        if each.field not in fields:
            problems.append(
                f"tasks.{name}.target is '{each.field}'; its dataset has no such field.{nearest(each.field, fields)} "
                f"Fields: {some(fields)}."
            )
        elif problem := each.kind.field_problem(name, each.field, fields[each.field]):
            problems.append(problem)
    for dataset, source in sources.items():
        classes = {key: spec for key, spec in source.field_specs.items() if spec.kind in ("class", "ordinal")}
        if source.balance is not None and source.balance not in classes:
            problems.append(
                f"The dataset of tasks.{dataset} is to be balanced by '{source.balance}', which is not a field of "
                f"classes.{nearest(source.balance, classes)} Fields of classes: {', '.join(classes) or 'none'}."
            )
    if problems:
        raise UserError(problems)


def summarise(
    wanted: Mapping[str, Wanted],
    sources: Mapping[str, DataSource],
    dataset_of: Mapping[str, str],
    states: Mapping[str, Any],
    seed: int,
) -> dict[str, LabelSummary]:
    """Return the summary of each task's training labels, from a checkpoint's `states` (by dataset) where it has one.

    Labels that are at hand are looked at in every split, others in the training split only; evaluations look again.

    Raises:
        UserError: every task and split with labels that its kind cannot use.
    """
    summaries: dict[str, LabelSummary] = {}
    problems: dict[tuple[str, str], str] = {}
    for dataset, source in sources.items():
        own = {name: each for name, each in wanted.items() if dataset_of[name] == dataset}
        known = _known.setdefault(source, {})
        told = {name: known[each] for name, each in own.items() if each in known}
        unseen = {name: each for name, each in own.items() if name not in told}
        told |= restored(unseen, source, states.get(dataset, {}), dataset)
        fresh = {name: own[name].kind.summary_class(source.all_fields[own[name].field]) for name in own.keys() - told}
        other = {name: ClassCounts(each.field) for name, each in fresh.items() if isinstance(each, ClassCounts)}
        for split in SPLITS:
            at_hand = source.full_split(split).labels_at_hand
            looked_at = unseen if at_hand else {name: own[name] for name in fresh} if split == "train" else {}
            for labels in sweep(source, split, looked_at, dataset, seed):
                for name, each in looked_at.items():
                    found = labels[each.field]
                    problem = each.kind.summary_class.problem(source.all_fields[each.field], found)
                    if problem is not None:
                        problems.setdefault((name, split), problem)
                    elif split == "train" and name in fresh:
                        fresh[name].add(found)
                    elif split != "train" and name in other:
                        other[name].add(found)
        tell_unseen(fresh, other)
        summaries |= told | fresh
        known |= {own[name]: summaries[name] for name in own}
    if problems:
        for source in sources.values():
            del _known[source]
        raise UserError([
            f"tasks.{name}: the field '{each.field}' of the {split} split {problems[name, split]}."
            for name, each in wanted.items() for split in SPLITS if (name, split) in problems
        ])  # fmt: skip
    return {name: summaries[name] for name in wanted}


def sweep(
    source: DataSource, split: str, wanted: Mapping[str, Wanted], dataset: str, seed: int
) -> Iterator[dict[str, Tensor]]:
    """Yield the label fields of all rows of a split, those that an augmentation adds with the rest of their rows."""
    rows, names = source.full_split(split), list(dict.fromkeys(each.field for each in wanted.values()))
    added = source.augmentation is not None and any(name in source.augmentation.adds for name in names)
    if not names:
        return
    if not added:
        yield from rows.sweep_fields(names)
        return
    assert source.augmentation is not None
    for indices in torch.arange(len(rows)).split(ROWS):
        sample = rows.__getitems__(indices)
        apart = rows.apart(indices, source.all_fields)
        changed = augmented_alike(apart, indices, source.augmentation, source.all_fields, seed, dataset)
        fields = {**sample.fields, **{name: changed.fields[name] for name in source.augmentation.adds}}
        yield {name: fields[name].cpu() for name in names}


def tell_unseen(fresh: Mapping[str, LabelSummary], other: Mapping[str, ClassCounts]) -> None:
    """Warn of classes that have no training label; `other` are labels of other splits, as far as they are at hand."""
    for name, summary in fresh.items():
        spec = summary.spec()
        if spec.kind == "pieces":
            continue
        names = spec.class_names or tuple(map(str, range(len(spec.counts))))
        lost = [place for place, count in enumerate(spec.counts) if not count]
        there = other[name].histogram.tolist() if name in other else [0] * len(names)
        for place in lost:
            if there[place]:
                told = name, names[place], there[place]
                logger.warning("tasks.%s: no training row has the class '%s', other rows do: %d.", *told)
        if nowhere := [names[place] for place in lost if not there[place]]:
            logger.warning("tasks.%s: no training label is of the class %s.", name, some(nowhere))


def restored(
    wanted: Mapping[str, Wanted], source: DataSource, state: Mapping[str, Any], dataset: str
) -> dict[str, LabelSummary]:
    """Return the summaries that a dataset's state in a checkpoint holds, by task; none from before there were any.

    Raises:
        UserError: one cannot be used.
    """
    known, found = state.get(SUMMARIES, {}), {}
    for name, each in wanted.items():
        try:
            if name in known:
                found[name] = each.kind.summary_class.of(source.all_fields[each.field], known[name])
        except Exception as error:  # nonsense in the place of a state may raise anything
            raise UserError(
                f"tasks.{name}: the checkpoint's summary of its labels in the dataset of '{dataset}' cannot be used: "
                f"{type(error).__name__}: {str(error)[:200]}."
            ) from error
    return found


def fields_told(
    components: Mapping[str, Component],
    sources: Mapping[str, DataSource],
    dataset_of: Mapping[str, str],
    states: Mapping[str, Any],
) -> dict[str, FieldSpec]:
    """Return the spec of each task's field without reading any label: what sources and checkpoint tell of it.

    Raises:
        UserError: a dataset lacks a field, or a summary in the checkpoint cannot be used.
    """
    wanted = wanted_by(components)
    check_fields(wanted, sources, dataset_of)
    found = {}
    for name, each in wanted.items():
        source = sources[dataset_of[name]]
        summary = restored({name: each}, source, states[dataset_of[name]], dataset_of[name]).get(name)
        found[name] = source.all_fields[each.field] if summary is None else summary.spec()
    return found


def state_with(source: DataSource, summaries: Mapping[str, LabelSummary]) -> dict[str, Any]:
    """Return a source's state for a checkpoint, with the fingerprints of its files and the summaries of its tasks."""
    return {
        **source.state_dict(),
        **state_of_files(source),
        SUMMARIES: {name: summary.state() for name, summary in summaries.items()},
    }
