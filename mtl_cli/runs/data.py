"""The opened datasets of a run, what is known of their labels, and their batches."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from typing import Any

import torch

from mtl_cli.batch import Inputs, Split
from mtl_cli.datasets.base import SPLITS, DataSource
from mtl_cli.datasets.division_base import Division, joined
from mtl_cli.errors import UserError
from mtl_cli.runs.components import Components, collect, group_datasets, make_source, state_of, wanted_fields
from mtl_cli.runs.data_files import Compare, up_to_date
from mtl_cli.runs.summaries import check_fields, state_with, summarise, wanted_by
from mtl_cli.seeding import generator
from mtl_cli.tasks.base import Task
from mtl_cli.tasks.stack_base import TaskStack
from mtl_cli.tasks.summary_base import LabelSummary
from mtl_cli.training.loading import Stream
from mtl_cli.training.order import Order

_sources: dict[str, DataSource] = {}
"""Datasets of the job before, by config: the jobs of a sweep read them once."""


@dataclass(frozen=True)
class Data:
    """The datasets of a run, the dataset of each task, and what is known of the training labels, by task."""

    sources: dict[str, DataSource]
    dataset_of: dict[str, str]
    summaries: dict[str, LabelSummary] = field(default_factory=dict)
    overfit: int | None = None
    """Batches of training rows that every split is made of; None leaves the splits as they are."""

    @cached_property
    def examples(self) -> dict[str, Inputs]:
        """Two rows of inputs by dataset, for the dry run that finds shapes."""
        return {name: Inputs(source.example().inputs, name) for name, source in self.sources.items()}

    def tasks_of(self, dataset: str) -> list[str]:
        """Return the tasks of a dataset."""
        return [task for task, own in self.dataset_of.items() if own == dataset]

    def always_labelled(self, task: str) -> bool:
        """Return whether every row that is drawn has a label of the task."""
        augmentation = self.sources[self.dataset_of[task]].augmentation
        return self.summaries[task].fully_labelled and (augmentation is None or augmentation.keeps_labels)

    def states(self) -> dict[str, Any]:
        """Return what a checkpoint holds of each dataset."""
        return {
            name: state_with(source, {task: self.summaries[task] for task in self.tasks_of(name)})
            for name, source in self.sources.items()
        }


def open_data(
    config: Mapping[str, Any],
    components: Components,
    states: Mapping[str, Any] | None,
    compare: Compare | None = None,
) -> Data:
    """Return the opened datasets with the summaries of their labels, of a checkpoint's `states` where it tells.

    `compare` sees each dataset with its state before it is opened.

    Raises:
        UserError: a dataset cannot be read, lacks a task's field, or holds labels that the task cannot use.
    """
    sources, dataset_of = open_datasets(config, components, states, compare), group_datasets(config)
    wanted = wanted_by(components.tasks)
    check_fields(wanted, sources, dataset_of)
    told = {dataset: state_of(dataset, states) for dataset in sources}
    return Data(sources, dataset_of, summarise(wanted, sources, dataset_of, told, config["seed"]), config["overfit"])


def open_datasets(
    config: Mapping[str, Any],
    components: Components,
    states: Mapping[str, Any] | None,
    compare: Compare | None = None,
) -> dict[str, DataSource]:
    """Return the data source of each dataset; one that the job before had open is taken from there.

    Raises:
        UserError: every dataset that cannot be read.
    """
    problems: list[str] = []
    sources: dict[str, DataSource] = {}
    keys: dict[str, DataSource] = {}
    dataset_of, division = group_datasets(config), division_of(config)
    for dataset in dict.fromkeys(dataset_of.values()):
        wanted = wanted_fields(components, dataset_of, dataset)
        node = config["tasks"][dataset]["dataset"]
        key = json.dumps([node, asdict(division), *map(asdict, wanted)], sort_keys=True)
        state = state_of(dataset, states)
        source = None if state else _sources.get(key)
        if source is None or not up_to_date(source):
            check = None if compare is None else partial(compared, compare, dataset, state)
            make = partial(make_source, components.datasets[dataset], wanted, state, compare=check, division=division)
            source = collect(problems, make)
        if source is None:
            continue
        sources[dataset] = source
        if not state:  # one that holds an earlier run's state is that run's alone
            keys[key] = source
    if problems:
        raise UserError(problems)
    _sources.clear()
    _sources.update(keys)
    return sources


def division_of(config: Mapping[str, Any]) -> Division:
    """Return how training and validation rows are divided anew."""
    data = config["data"]
    return Division(data["inner_folds"], data["inner_fold"], data["train_on"] == "train+val")


def compared(compare: Compare, dataset: str, state: Mapping[str, Any], source: DataSource) -> None:
    """Compare the files of a source with its state."""
    compare(dataset, source, state)


def make_streams(
    data: Data,
    tasks: Mapping[str, Task],
    split: str,
    seed: int,
    device: torch.device,
    workers: int = 0,
    stacks: Sequence[TaskStack[Any]] = (),
    prepared: bool = False,
) -> dict[str, Stream]:
    """Return the batches of one split by dataset, with the targets of `tasks`; datasets without a task are left out.

    The tasks of `stacks` are computed as one; with `prepared`, for their losses alone.
    """
    assert split in SPLITS
    streams = {}
    for dataset, source in data.sources.items():
        own = {name: task for name, task in tasks.items() if data.dataset_of[name] == dataset}
        if not own:
            continue
        rows, by = source.full_split(split), source.balance if split == "train" else None
        if data.overfit is not None:
            rows = few_rows(source, data.overfit, dataset, seed)
        classes = None if by is None else rows.classes(by)
        training = split == "train" and data.overfit is None  # what is learnt by heart is not augmented
        together = [stack for stack in stacks if stack.names[0] in own]
        streams[dataset] = make_stream(
            source, rows, dataset, own, seed, device, workers, classes, training, together, prepared
        )
    return streams


def few_rows(source: DataSource, batches: int, dataset: str, seed: int) -> Split:
    """Return the rows of a few batches of the training split, chosen at random."""
    train = source.full_split("train")
    order = torch.randperm(len(train), generator=generator(seed, "overfit", dataset))
    return joined([train], order[: batches * source.batch_size].sort().values, source.all_fields)


def make_stream(
    source: DataSource,
    rows: Split,
    dataset: str,
    tasks: Mapping[str, Task],
    seed: int,
    device: torch.device,
    workers: int = 0,
    classes: torch.Tensor | None = None,
    training: bool = False,
    stacks: Sequence[TaskStack[Any]] = (),
    prepared: bool = False,
) -> Stream:
    """Return the batches of some rows of a dataset with the targets of `tasks`; `classes` [N] are drawn alike."""
    augmentation = source.augmentation
    if not training and augmentation and not any(task.target in augmentation.adds for task in tasks.values()):
        augmentation = None
    return Stream(
        rows,
        dataset,
        {name: task.target for name, task in tasks.items()},
        Order(len(rows), source.batch_size, dataset, seed, classes, rows.lengths),
        device,
        workers,
        {name: task.label_marks for name, task in tasks.items()},
        augmentation,
        source.all_fields,
        {name: task.field.weights for name, task in tasks.items() if task.field.weights},
        stacks,
        prepared,
    )
