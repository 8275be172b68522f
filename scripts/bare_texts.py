"""What bare hand-written loops on files have in common: files that are made up, a trunk, padded matrices, steps."""

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from measuring import Row, Steps, compose, interleaved, job_of, our_steps, ratio_row
from torch import Tensor, nn

from mtl_cli.features import Features, run_stages
from mtl_cli.storage.directory import RunDirectory
from mtl_cli.training.job import Job


def write_conf(folder: Path, files: Mapping[str, str]) -> None:
    """Write files of a conf, by their path in it."""
    for name, body in files.items():
        (folder / "conf" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "conf" / name).write_text(body, encoding="utf-8")


def classification(name: str, dataset: str) -> str:
    """Return the YAML of a task that tells the classes of a field of its own name."""
    return f"""\
# @package _global_
defaults:
  - /dataset@tasks.{name}.dataset: {dataset}
tasks:
  {name}:
    _target_: mtl_cli.tasks.classification.Classification
    target: {name}
    weight: 1.0
    label_smoothing: 0.0
    class_weights: null
    focal_gamma: 0.0
    head: {{_target_: mtl_cli.heads.mlp.MLPHead, hidden: []}}
"""


def made_up_words(stream: random.Random, number: int) -> list[str]:
    """Return words of 2 to 9 letters."""
    return ["".join(stream.choices("abcdefghijklmnop", k=stream.randint(2, 9))) for _ in range(number)]


def job_on_file(folder: Path, file: str, words: list[str]) -> tuple[Job, dict[str, Any]]:
    """Return a job whose tasks all read one file, and its config."""
    config = compose(words, folder / "conf")
    for task in config["tasks"].values():
        task["dataset"] |= {"path": str(folder / file), "cache_dir": str(folder / "cache")}
    return job_of(config), config


class BareTrunk(nn.Module):
    """The stem and the stages of a job's hard sharing, as a person would write them down."""

    def __init__(self, job: Job) -> None:
        super().__init__()
        stem, *stages = job.learner.model.sharing.trunk.children()  # type: ignore[union-attr]  # of hard sharing
        (self.stem,) = stem.stems.children()
        self.stages = nn.ModuleList(stages)

    def features(self, values: Mapping[str, Tensor]) -> Features:
        """Return the features of texts."""
        return run_stages(self.stages, self.stem(values))


@dataclass(frozen=True)
class Padded:
    """All training rows as padded matrices on the device; a batch is cut to its longest row."""

    inputs: Mapping[str, Tensor]
    fields: Mapping[str, Tensor]
    lengths: Tensor
    device: torch.device
    bf16: bool

    @classmethod
    def of(cls, job: Job) -> "Padded":
        """Return those of a job on one dataset of texts."""
        (stream,) = job.train.values()
        device = job.learner.arithmetic.device
        everything = stream.rows.__getitems__(torch.arange(len(stream.rows)))
        inputs = {name: value.to(device) for name, value in everything.inputs.items()}  # type: ignore[union-attr]
        lengths = inputs["mask"].sum(1).cpu()
        return cls(inputs, everything.fields, lengths, device, job.learner.arithmetic.bf16)

    def texts(self, rows: Tensor) -> dict[str, Tensor]:
        """Return the inputs of some rows."""
        longest = int(self.lengths[rows].max())
        return {name: v[rows, :longest] if name in ("ids", "mask") else v[rows] for name, v in self.inputs.items()}

    def autocast(self) -> AbstractContextManager[object]:
        """Return the precision of the job."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16)


def bare_steps(job: Job, model: nn.Module, loss: Callable[[Tensor], Tensor]) -> Steps:
    """Return a function that takes steps of a hand-written loop on the rows that the job draws."""
    (stream,) = job.train.values()
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=job.optimizer.param_groups[0]["lr"], weight_decay=0.01, fused=True
    )
    draws = iter(range(10**9))

    def run(number: int) -> None:
        model.train()
        for _ in range(number):
            rows = stream.order.rows(next(draws))
            optimizer.zero_grad(set_to_none=True)
            loss(rows).backward()
            optimizer.step()

    return run


def compared(
    ours: tuple[Job, dict[str, Any]], bare: Steps, folder: Path, what: str, goal: str, windows: int, steps: int
) -> Iterator[Row]:
    """Yield samples/s of a job as a part of a bare loop's."""
    job, config = ours
    out = RunDirectory.create(folder / what.replace(" ", "_"), config, "benchmark")
    pairs = interleaved(our_steps(job, out), bare, windows, steps, job.learner.arithmetic.device)
    out.close()
    name = f"samples/s against a bare loop: {what}"
    yield ratio_row(name, pairs, goal, steps, job.learner.arithmetic.precision)
