"""The rows of scripts/benchmark about small steps: tables of two tasks, and texts of 32, each against a bare loop."""

import csv
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from bare_texts import BareTrunk, Padded, bare_steps, compared, made_up_words
from benchmark_data import write_table
from benchmark_tasks import group_job
from measuring import ENDLESS, Row, Steps, compose, job_of
from torch import Tensor, nn
from torch.nn import functional as F

from mtl_cli.config.shipped import conf_dir
from mtl_cli.features import pool
from mtl_cli.training.job import Job

ROWS, WORDS, TASKS = 20_000, 2_000, 32
GOALS = {128: ">= 0.95", 1024: ">= 0.97"}


def small(windows: int, steps: int, folder: Path) -> Iterator[Row]:
    """Yield steps of tables with two tasks, and of texts with 32 numbers, as a part of bare loops."""
    write_table(folder / "two.csv", ROWS, numbers=31)
    for size, goal in GOALS.items():
        (ours, config), (other, _) = (table_job(folder, size) for _ in range(2))
        what = f"table of 30 numbers and 10 categories, two tasks, batch {size}"
        yield from compared((ours, config), bare_table_steps(other), folder, what, goal, windows, steps)
    write_scores(folder / "scores.csv")
    (ours, config), (other, _) = (text_job(folder) for _ in range(2))
    yield from compared((ours, config), bare_wide_steps(other), folder, "texts, gru, 32 tasks", ">= 0.95", windows, 5)


def node(option: str, **changes: object) -> dict[str, Any]:
    """Return the node of a dataset, with changes."""
    return {**yaml.safe_load((conf_dir() / "dataset" / f"{option}.yaml").read_text(encoding="utf-8")), **changes}


def table_job(folder: Path, size: int) -> tuple[Job, dict[str, Any]]:
    """Return a job of one class and one number on a table, and its config."""
    config = compose(["task=mnist_digits", "backbone=tabular", f"data.batch_size={size}", ENDLESS])
    task = config["tasks"].pop("mnist_digits")
    targets = {"y": {"kind": "class", "column": "y"}, "z": {"kind": "real", "column": "n30"}}
    dataset = node("tabular", path=str(folder / "two.csv"), cache_dir=str(folder / "cache"), targets=targets)
    number = {"_target_": "mtl_cli.tasks.regression.Regression", "weight": 1.0, "head": task["head"]}
    config["tasks"] = {
        "y": {**task, "target": "y", "dataset": dataset}, "z": {**number, "target": "z", "dataset": dataset},
    }  # fmt: skip
    return job_of(config), config


class BareTable(nn.Module):
    """A job's layers for tables: a stem, a trunk, one linear head per task."""

    def __init__(self, job: Job) -> None:
        super().__init__()
        model = job.learner.model
        stem, *stages = model.sharing.trunk.children()  # type: ignore[union-attr]  # of hard sharing
        (self.stem,) = stem.stems.children()
        self.trunk = nn.Sequential(*stages)
        self.heads = nn.ModuleList(head.layers for _, head in model.heads.items())

    def forward(self, values: Mapping[str, Tensor]) -> list[Tensor]:
        """Return the outputs of both tasks."""
        hidden = self.trunk(self.stem(values))
        return [head(hidden) for head in self.heads]


def bare_table_steps(job: Job) -> Steps:
    """Return a function that takes steps of a hand-written loop on the same rows, in memory."""
    (stream,) = job.train.values()
    everything = stream.rows.__getitems__(torch.arange(len(stream.rows)))
    assert isinstance(everything.inputs, Mapping), "a table has inputs by name"
    inputs, classes, numbers = everything.inputs, everything.fields["y"], everything.fields["z"]
    numbers, model = ((numbers - numbers.mean()) / numbers.std()).float(), BareTable(job)

    def loss(rows: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=job.learner.arithmetic.bf16):
            first, second = model({name: value[rows] for name, value in inputs.items()})
        return F.cross_entropy(first.float(), classes[rows]) + F.mse_loss(second.float()[:, 0], numbers[rows])

    return bare_steps(job, model, loss)


def write_scores(path: Path) -> None:
    """Write short texts, each with 32 numbers."""
    stream = random.Random(0)
    words = made_up_words(stream, WORDS)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", *(f"t{k}" for k in range(TASKS))])
        for _ in range(ROWS):
            chosen = stream.choices(words, k=stream.randint(3, 12))
            writer.writerow([" ".join(chosen), *(round(len(chosen) + stream.gauss(0, 1), 3) for _ in range(TASKS))])


def text_job(folder: Path) -> tuple[Job, dict[str, Any]]:
    """Return a job of 32 numbers on texts, and its config."""
    dataset = node("text", path=str(folder / "scores.csv"), cache_dir=str(folder / "cache"))
    return group_job(["backbone=gru", "data.batch_size=128", ENDLESS], dataset, TASKS, "regression")


class WideText(BareTrunk):
    """A job's layers for texts, and one linear head for all tasks."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.head = nn.Linear(job.learner.model.sharing.specs["t0"].width, len(job.tasks))

    def forward(self, values: Mapping[str, Tensor]) -> Tensor:
        """Return outputs [B, T]."""
        return self.head(pool(self.features(values)))


def bare_wide_steps(job: Job) -> Steps:
    """Return a function that takes steps of a hand-written loop on the same batches, from one padded matrix."""
    model, padded = WideText(job), Padded.of(job)
    targets = torch.stack([padded.fields[name] for name in job.tasks], dim=1)
    targets = ((targets - targets.mean(dim=0)) / targets.std(dim=0)).float()

    def loss(rows: Tensor) -> Tensor:
        with padded.autocast():
            return len(job.tasks) * F.mse_loss(model(padded.texts(rows)).float(), targets[rows])

    return bare_steps(job, model, loss)
