"""What the summary of a run tells of its data and metrics, so that it can be compared with others."""

from typing import Any

from mtl_cli.datasets.base import SPLITS
from mtl_cli.runs.data import Data
from mtl_cli.runs.data_files import fingerprints
from mtl_cli.training.evaluate import flat
from mtl_cli.training.job import Job
from mtl_cli.training.selection import lower_is_better


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


def metrics_record(job: Job, names: list[str]) -> dict[str, Any]:
    """Return which metrics are better when lower, and what the trivial predictors reach on validation data."""
    return {
        "lower_is_better": [name for name in names if lower_is_better(job, name)],
        "trivial_val": flat(job.baseline or {}),
    }
