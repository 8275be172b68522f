"""The rows of scripts/benchmark about many tasks: steps against one wide head, evaluations and log records."""

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from measuring import ENDLESS, Row, Steps, compose, interleaved, our_steps, ratio_row, row, summary
from torch import Tensor, nn
from torch.nn import functional as F

from mtl_cli.config.run_config import checked
from mtl_cli.config.shipped import conf_dir
from mtl_cli.config.targets import Trust
from mtl_cli.runs.build import build
from mtl_cli.storage.directory import RunDirectory
from mtl_cli.training.job import Job
from mtl_cli.training.next_step import next_step
from mtl_cli.training.selection import evaluate_split
from mtl_cli.training.trainer import log, train_step

HEAD = {"_target_": "mtl_cli.heads.mlp.MLPHead", "hidden": [], "dropout": 0.0, "activation": "relu", "init": "default"}
PLAIN = {"label_smoothing": 0.0, "class_weights": None, "focal_gamma": 0.0}
KINDS = {
    "regression": {"_target_": "mtl_cli.tasks.regression.Regression"},
    "binary": {"_target_": "mtl_cli.tasks.binary.Binary", **PLAIN},
    "classification": {"_target_": "mtl_cli.tasks.classification.Classification", **PLAIN},
    "multilabel": {"_target_": "mtl_cli.tasks.multilabel.Multilabel"},
}
OUTPUTS = {"regression": 1, "binary": 1, "classification": 3, "multilabel": 3}
"""Outputs of a task: classes of one kind, labels of another."""
SIZES = {1: ">= 0.90", 8: ">= 0.80", 32: ">= 0.80", 128: ">= 0.80", 512: ">= 0.80"}
SETTINGS = [
    "backbone=mlp", "backbone.hidden=[128,64]", "backbone.dropout=0", "trainer.precision=fp32", "data.batch_size=128",
]  # fmt: skip


def write_targets(path: Path, tasks: int, rows: int, kind: str = "regression") -> None:
    """Write inputs [N, 64] and targets t0 … of a kind that depend on eight hidden values."""
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(rows, 64)).astype(np.float32)
    hidden, outputs = np.tanh(inputs @ rng.normal(size=(64, 8)) / 8), tasks * OUTPUTS[kind]
    values = hidden @ rng.normal(size=(8, outputs)) + 0.3 * rng.normal(size=(rows, outputs))
    values = values.reshape(rows, tasks, OUTPUTS[kind])
    targets = {
        "regression": lambda: values[:, :, 0].astype(np.float32),
        "binary": lambda: (values[:, :, 0] > 0).astype(np.float32),
        "classification": lambda: values.argmax(axis=2),
        "multilabel": lambda: (values > 0).astype(np.float32),
    }[kind]()
    np.savez(path, x=inputs, **{f"t{k}": targets[:, k] for k in range(tasks)})


def job_with(path: Path, tasks: int, kind: str) -> tuple[Job, dict[str, Any]]:
    """Return a job of a group of tasks on a file of arrays, and its config."""
    dataset = {**yaml.safe_load((conf_dir() / "dataset" / "arrays.yaml").read_text()), "path": str(path)}
    return group_job([*SETTINGS, ENDLESS], dataset, tasks, kind)


def group_job(
    overrides: Sequence[str], dataset: Mapping[str, Any], tasks: int, kind: str
) -> tuple[Job, dict[str, Any]]:
    """Return a job of tasks t0 … on one dataset, and its config."""
    config, names = compose(overrides), {f"t{k}": {} for k in range(tasks)}
    config["tasks"] = {"many": {**KINDS[kind], "weight": 1.0, "head": HEAD, "dataset": dataset, "targets": names}}
    return build(checked(config), Trust()).job, config


def mean_loss(outputs: Tensor, targets: Tensor, kind: str) -> Tensor:
    """Return the mean loss of all tasks from outputs [B, T·O] and targets [B, T] or [B, T·O]."""
    if kind == "classification":
        return F.cross_entropy(outputs.view(-1, OUTPUTS[kind]), targets.flatten())
    return (F.mse_loss if kind == "regression" else F.binary_cross_entropy_with_logits)(outputs, targets)


def bare_steps(job: Job, kind: str) -> Steps:
    """Return a function that takes steps of a hand-written loop: one wide head for all tasks, data in memory."""
    (stream,) = job.train.values()
    tasks: Any = list(job.tasks.values())
    rows: Any = stream.rows
    inputs = rows.__getitems__(torch.arange(len(rows))).inputs
    labels = [rows.labels(task.target) for task in tasks]
    if kind == "regression":
        labels = [(each - task.mean) / task.std for each, task in zip(labels, tasks, strict=True)]
    targets, outputs = torch.stack(labels, dim=1).flatten(1), len(tasks) * OUTPUTS[kind]
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, outputs))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01, fused=True)
    order = iter(torch.randperm(0))

    def run(number: int) -> None:
        nonlocal order
        model.train()
        for _ in range(number):
            batch = next(order, None)
            if batch is None or len(batch) < 128:
                order = iter(torch.randperm(len(inputs)).split(128))
                batch = next(order)
            optimizer.zero_grad(set_to_none=True)
            (len(tasks) * mean_loss(model(inputs[batch]), targets[batch], kind)).backward()
            optimizer.step()

    return run


def tasks(windows: int, steps: int, folder: Path) -> Iterator[Row]:
    """Yield steps against a bare loop with one wide head, evaluations of 3,000 rows, and a log record."""
    cases = [(number, "regression", goal) for number, goal in SIZES.items()]
    for number, kind, goal in [(32, "classification", ""), (32, "multilabel", ""), *cases]:
        path = folder / f"{kind}_{number}.npz"
        write_targets(path, number, 8000, kind)
        job, config = job_with(path, number, kind)
        out = RunDirectory.create(folder / f"{kind}_{number}", config, "benchmark")
        pairs = interleaved(our_steps(job, out), bare_steps(job, kind), windows, steps, job.learner.arithmetic.device)
        out.close()
        yield ratio_row(f"steps against one wide head, {number} × {kind}", pairs, goal, steps, "fp32")
    yield record_row(job, config, folder, windows)
    for kind, goal in (("regression", "<= 0.3"), ("binary", "<= 0.8")):
        path = folder / f"{kind}.npz"
        write_targets(path, 512, 20_000, kind)
        yield evaluation_row(job_with(path, 512, kind)[0], kind, goal)


def record_row(job: Job, config: dict[str, Any], folder: Path, windows: int) -> Row:
    """Return the milliseconds of a log record of 512 tasks."""
    out = RunDirectory.create(folder / "records", config, "benchmark")
    taken = []
    for _ in range(max(5, windows)):
        step = next_step(job)
        step.logging = True
        update = train_step(job, step)
        before = time.perf_counter()
        log(job, out, step, update)
        taken.append(1000 * (time.perf_counter() - before))
    out.close()
    return row("ms of a log record, 512 tasks", *summary(taken), "<= 5", "one step per record")


def evaluation_row(job: Job, kind: str, goal: str) -> Row:
    """Return the seconds of an evaluation of 3,000 rows of 512 tasks."""
    taken = []
    for _ in range(4):
        before = time.perf_counter()
        evaluate_split(job, job.val)
        taken.append(time.perf_counter() - before)
    samples = sum(len(stream.rows) for stream in job.val.values())
    return row(f"s of an evaluation, 512 tasks, {kind}", *summary(taken[1:]), goal, f"{samples} rows")
