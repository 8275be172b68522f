"""Measures the speed of mtl-train on texts that are written, by a transformer, against a bare hand-written loop.

It is a part of scripts/benchmark (--only writing), on 20,000 generated pairs of 3 to 12 words.
"""

import csv
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from bare_texts import BareTrunk, Padded, bare_steps, compared, job_on_file, made_up_words, write_conf
from measuring import ENDLESS, Row, Steps
from torch import Tensor
from torch.nn import functional as F

from mtl_cli.batch import set_entries
from mtl_cli.heads.transformer_decoder import TransformerWriter
from mtl_cli.training.job import Job

ROWS, WORDS = 20_000, 2_000
FILES = {
    "dataset/pairs.yaml": "defaults: [parallel, _self_]\npath: pairs.csv\nsource: source\nvocab_size: 2000\n",
    "task/back.yaml": """\
# @package _global_
defaults:
  - /dataset@tasks.back.dataset: pairs
tasks:
  back:
    _target_: mtl_cli.tasks.seq2seq.Seq2Seq
    target: back
    weight: 1.0
    label_smoothing: 0.0
    metrics: [exact_match]
    head: {_target_: mtl_cli.heads.transformer_decoder.TransformerDecoder, num_layers: 2}
""",
}
TRANSFORMER = ["backbone=transformer", "backbone.width=64", "backbone.num_layers=2"]


def write_pairs(folder: Path, rows: int = ROWS) -> None:
    """Write a file of short texts with their words backwards, and the conf of the task that writes these."""
    write_conf(folder, FILES)
    stream = random.Random(0)
    words = made_up_words(stream, WORDS)
    with (folder / "pairs.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["source", "back"])
        for _ in range(rows):
            chosen = stream.choices(words, k=stream.randint(3, 12))
            writer.writerow([" ".join(chosen), " ".join(reversed(chosen))])


def job_on(folder: Path, overrides: list[str]) -> tuple[Job, dict[str, Any]]:
    """Return a job of the task, and its config."""
    return job_on_file(folder, "pairs.csv", ["task=back", *TRANSFORMER, *overrides])


class BareWriter(BareTrunk):
    """The job's layers as a person would write them down: a stem, an encoder and a decoder."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        head = job.learner.model.heads["back"]
        assert isinstance(head, TransformerWriter)
        self.head = head

    def forward(self, values: Mapping[str, Tensor], before: Tensor) -> Tensor:
        """Return the logits [B, L, V] of the pieces that follow those `before` [B, L]."""
        features = self.features(values)
        hidden = self.head.hidden(before, features.values, features.mask)
        return F.linear(hidden, self.head.table.weight, self.head.bias)


def bare_writing_steps(job: Job) -> Steps:
    """Return a function that takes steps of a hand-written loop on the same batches, from two padded matrices."""
    model, padded = BareWriter(job), Padded.of(job)
    there = set_entries(padded.fields["back"])
    target, written = torch.where(there, padded.fields["back"], 0).to(padded.device), there.sum(1)

    def loss(rows: Tensor) -> Tensor:
        wanted = target[rows, : int(written[rows].max())]
        with padded.autocast():
            logits = model(padded.texts(rows), F.pad(wanted[:, :-1], (1, 0), value=2))
        return F.cross_entropy(logits.float().flatten(0, 1), wanted.flatten(), ignore_index=0)

    return bare_steps(job, model, loss)


def writing(windows: int, steps: int, folder: Path) -> Iterator[Row]:
    """Yield samples/s of a transformer that writes texts as a part of a bare loop's."""
    write_pairs(folder)
    bare = bare_writing_steps(job_on(folder, [])[0])
    what, fewer = "texts that are written, transformer", max(1, steps // 4)  # they take longer than those on images
    yield from compared(job_on(folder, [ENDLESS]), bare, folder, what, ">= 0.95", windows, fewer)
