"""What the summary of a run tells of its data and metrics, so that it can be compared with others."""

from collections.abc import Mapping, Sequence
from typing import Any

from mtl_cli.datasets.base import SPLITS
from mtl_cli.runs.data import Data
from mtl_cli.runs.data_files import fingerprints
from mtl_cli.tasks.base import Task
from mtl_cli.training.evaluate import flat
from mtl_cli.training.job import Job
from mtl_cli.training.meters import Result
from mtl_cli.training.selection import lower_is_better

MAX_CLASSES = 200
"""Largest number of classes whose confusion matrix is kept as numbers."""


def data_record(data: Data) -> dict[str, Any]:
    """Return, by dataset, its tasks, its rows by split and the digests of its files."""
    return {
        name: {
            "tasks": data.tasks_of(name),
            "rows": {split: len(source.split(split)) for split in SPLITS},
            "files": {part: found.digest for part, found in fingerprints(source).items()},
        }
        for name, source in data.sources.items()
    }


def metrics_record(job: Job, names: Sequence[str]) -> dict[str, Any]:
    """Return which metrics are better when lower, and what the trivial predictors reach on validation data."""
    return {
        "lower_is_better": [name for name in names if lower_is_better(job, name)],
        "trivial_val": flat(job.baseline or {}),
    }


def confusions_record(split: str, tasks: Mapping[str, Task], results: Mapping[str, Result]) -> dict[str, Any]:
    """Return the confusion matrices of a split by task: names of classes, and counts [C, C]; rows are the truth."""
    return {
        "split": split,
        "tasks": {
            name: {
                "classes": list(class_names(tasks[name], len(result.confusion))),
                "counts": result.confusion.tolist(),
            }
            for name, result in results.items()
            if result.confusion is not None and len(result.confusion) <= MAX_CLASSES
        },
    }


def class_names(task: Task, classes: int) -> Sequence[str]:
    """Return the names of a task's classes, numbers where they have none."""
    return task.field.class_names or [str(number) for number in range(classes)]
