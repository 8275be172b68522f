"""What is compared between data, tasks, weighting and config before the first step."""

from collections.abc import Mapping
from typing import Any

from mtl_cli.config.task_groups import GROUPS
from mtl_cli.datasets.base import SPLITS, DataSource
from mtl_cli.errors import UserError, nearest, some
from mtl_cli.schedules.base import Schedule
from mtl_cli.tasks.base import Task
from mtl_cli.training.loading import Stream
from mtl_cli.training.step import Learner
from mtl_cli.weightings.base import Setting, Weighting


def check_labels(tasks: Mapping[str, Task], sources: Mapping[str, DataSource], dataset_of: Mapping[str, str]) -> None:
    """Look for labels that a kind of task cannot use, in every split, and for sampling that no field can balance.

    Raises:
        UserError: every task and split that has such labels, every dataset that cannot be balanced.
    """
    problems = []
    for dataset, source in sources.items():
        fields = {key: spec for key, spec in source.field_specs.items() if spec.kind in ("class", "ordinal")}
        if source.balance is not None and source.balance not in fields:
            problems.append(
                f"The dataset of tasks.{dataset} is to be balanced by '{source.balance}', which is no field of classes."
                f"{nearest(source.balance, fields)} Fields of classes: {', '.join(fields) or 'none'}."
            )
    for name, task in tasks.items():
        for split in SPLITS:
            problem = task.label_problem(sources[dataset_of[name]].split(split).labels(task.target))
            if problem is not None:
                problems.append(f"tasks.{name}: the field '{task.target}' of the {split} split {problem}.")
    if problems:
        raise UserError(problems)


def check_metrics(config: Mapping[str, Any], tasks: Mapping[str, Task]) -> list[str]:
    """Return what is wrong with the metrics that selection and early stopping name: of tasks, or of groups of them."""
    known = ["skill"]
    for name, members in {**{name: [name] for name in tasks}, **config.get(GROUPS, {})}.items():
        known += dict.fromkeys(f"{name}/{metric}" for task in members for metric in ("loss", *tasks[task].metric_info))
    problems = []
    for key in ("selection", "early_stopping"):
        metric = config[key]["metric"]
        if metric is not None and metric not in known:
            problems.append(
                f"{key}.metric is '{metric}'; no task reports it.{nearest(metric, known)} Known: {some(known)}."
            )
    return problems


def weighting_problems(
    weighting: Weighting, learner: Learner, schedule: Schedule, train: Mapping[str, Stream]
) -> list[str]:
    """Return why a weighting cannot serve a run, each with an override that mends it."""
    setting = Setting(
        weights={name: task.weight for name, task in learner.tasks.items()},
        num_datasets=len(train),
        num_shared=len(learner.partition.shared),
        has_boundary=learner.model.sharing.has_boundary,
        always_all=schedule.gives_all_tasks and all(stream.fully_labelled for stream in train.values()),
    )
    return weighting.problems(setting)
