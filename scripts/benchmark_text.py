"""Measures the speed of mtl-train on texts: steps against a bare hand-written loop, and the start of a large file.

It is a part of scripts/benchmark (--only text), on 200,000 generated texts of 3 to 12 words with two tasks.
"""

import csv
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bare_texts import BareTrunk, Padded, bare_steps, classification, compared, job_on_file, made_up_words, write_conf
from measuring import ENDLESS, Row, Steps, row
from torch import Tensor, nn
from torch.nn import functional as F

from mtl_cli.training.job import Job

ROWS, WORDS, TOPICS = 200_000, 20_000, 4
BACKBONES = {
    "gru": [], "lstm": [], "text_cnn": [],
    "transformer": ["backbone.width=64", "backbone.num_layers=2"],
}  # fmt: skip
TABLE = ["numeric=[price]", "categorical=[shop]"]
FILES = {
    "dataset/texts.yaml": """\
defaults: [text, _self_]
path: texts.csv
cache_dir: cache
targets:
  topic: {kind: class, column: topic}
  score: {kind: real, column: score}
""",
    "task/topic.yaml": classification("topic", "texts"),
    "task/score.yaml": """\
# @package _global_
defaults:
  - /dataset@tasks.score.dataset: texts
tasks:
  score:
    _target_: mtl_cli.tasks.regression.Regression
    target: score
    weight: 1.0
    head: {_target_: mtl_cli.heads.mlp.MLPHead, hidden: []}
""",
}


def write_texts(folder: Path, rows: int = ROWS) -> None:
    """Write a file of short texts whose words are as frequent as those of a language, and the conf of two tasks."""
    write_conf(folder, FILES)
    stream = random.Random(0)
    words = made_up_words(stream, WORDS)
    ranks = [1 / (rank + 3) for rank in range(WORDS)]
    with (folder / "texts.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "price", "shop", "topic", "score"])
        for _ in range(rows):
            chosen = stream.choices(words, ranks, k=stream.randint(3, 12))
            score = sum(map(len, chosen)) / len(chosen)
            price, shop = round(stream.gauss(0, 1), 3), f"shop {stream.randint(0, 50)}"
            writer.writerow([" ".join(chosen), price, shop, f"t{len(chosen[0]) % TOPICS}", round(score, 3)])


def job_on(folder: Path, overrides: list[str]) -> tuple[Job, dict[str, Any]]:
    """Return a job of the two tasks, and its config."""
    return job_on_file(folder, "texts.csv", ["task=topic+score", *overrides])


class BareText(BareTrunk):
    """The job's layers as a person would write them down: a stem, a trunk, one linear head per task."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.heads = nn.ModuleDict({name: head.layers for name, head in job.learner.model.heads.items()})

    def forward(self, values: Mapping[str, Tensor]) -> list[Tensor]:
        """Return the outputs of both tasks."""
        features = self.features(values)
        hidden = features.values
        if features.mask is not None:
            weight = features.mask.unsqueeze(-1).to(hidden.dtype)
            hidden = (hidden * weight).sum(1) / weight.sum(1)
        return [head(hidden) for head in self.heads.values()]


def bare_text_steps(job: Job) -> Steps:
    """Return a function that takes steps of a hand-written loop on the same batches, from one padded matrix."""
    model, padded = BareText(job), Padded.of(job)
    topic, score = (padded.fields[name].to(padded.device) for name in ("topic", "score"))
    score = (score - score.mean()) / score.std()

    def loss(rows: Tensor) -> Tensor:
        with padded.autocast():
            first, second = model(padded.texts(rows))
            return F.cross_entropy(first.float(), topic[rows]) + F.mse_loss(second.float()[:, 0], score[rows])

    return bare_steps(job, model, loss)


def text(windows: int, steps: int, folder: Path) -> Iterator[Row]:
    """Yield samples/s on texts as a part of a bare loop's, and the seconds of a first and a second run on them."""
    write_texts(folder)
    steps = max(1, steps // 2)  # they take longer than those on images
    yield from starting(folder)
    cases = {name: [f"backbone={name}", *more] for name, more in BACKBONES.items()}
    beside = [f"tasks.{task}.dataset.{option}" for task in ("topic", "score") for option in TABLE]
    cases["gru, with table columns"] = ["backbone=gru", *beside]
    for name, overrides in cases.items():
        bare = bare_text_steps(job_on(folder, overrides)[0])
        ours = job_on(folder, [*overrides, ENDLESS])
        yield from compared(ours, bare, folder, f"texts, {name}", ">= 0.90", windows, steps)


def starting(folder: Path) -> Iterator[Row]:
    """Yield the seconds until the first step of 200,000 texts is done, in the first run and in the second."""
    program = str(Path(sys.executable).parent / "mtl-train")
    command = [program, "--config-dir", "conf", "task=topic+score", "backbone=gru", "trainer.max_steps=1", "quiet=true"]
    for which, goal in (("first", ""), ("second", "< 30 s")):
        wall, cpu, seconds = first_step(command, folder, f"run_{which}")
        detail = f"process start to first step; the command with its evaluations: {seconds}, {cpu:.1f} s of CPU"
        yield row(f"200,000 texts, first step of the {which} run", f"{wall:.1f} s", "", goal, detail)


def first_step(command: list[str], folder: Path, name: str) -> tuple[float, float, str]:
    """Return the wall seconds until a run's first record of a step, its CPU seconds, and its wall seconds in all."""
    records = folder / name / "metrics.jsonl"
    before = os.times()
    start = time.perf_counter()
    process = subprocess.Popen([*command, f"hydra.run.dir={name}"], cwd=folder, stdout=subprocess.DEVNULL)
    while process.poll() is None and not (records.exists() and '"step": 1,' in records.read_text()):
        time.sleep(0.05)
    step = time.perf_counter() - start
    if process.wait():
        raise RuntimeError(f"{' '.join(command)} failed")
    whole, after = time.perf_counter() - start, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return step, cpu, f"{whole:.1f} s"
