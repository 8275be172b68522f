"""Measures the speed of mtl-train on texts that are written, by a transformer, against a bare hand-written loop.

It is a part of scripts/benchmark (--only writing), on 20,000 generated pairs of 3 to 12 words.
"""

import csv
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from measuring import ENDLESS, Row, Steps, compose, interleaved, job_of, our_steps, ratio_row
from torch import Tensor, nn
from torch.nn import functional as F

from mtl_cli.batch import set_entries
from mtl_cli.features import Features, run_stages
from mtl_cli.heads.transformer_decoder import TransformerWriter
from mtl_cli.storage.directory import RunDirectory
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
    for name, body in FILES.items():
        (folder / "conf" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "conf" / name).write_text(body, encoding="utf-8")
    stream = random.Random(0)
    words = ["".join(stream.choices("abcdefghijklmnop", k=stream.randint(2, 9))) for _ in range(WORDS)]
    with (folder / "pairs.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["source", "back"])
        for _ in range(rows):
            chosen = stream.choices(words, k=stream.randint(3, 12))
            writer.writerow([" ".join(chosen), " ".join(reversed(chosen))])


def job_on(folder: Path, overrides: list[str]) -> tuple[Job, dict[str, Any]]:
    """Return a job of the task, and its config."""
    config = compose(["task=back", *TRANSFORMER, *overrides], folder / "conf")
    config["tasks"]["back"]["dataset"] |= {"path": str(folder / "pairs.csv"), "cache_dir": str(folder / "cache")}
    return job_of(config), config


class BareWriter(nn.Module):
    """The job's layers as a person would write them down: a stem, an encoder and a decoder."""

    def __init__(self, job: Job) -> None:
        super().__init__()
        stem, *stages = job.learner.model.sharing.trunk.children()  # type: ignore[union-attr]  # of hard sharing
        (self.stem,) = stem.stems.children()
        self.stages = nn.ModuleList(stages)
        head = job.learner.model.heads["back"]
        assert isinstance(head, TransformerWriter)
        self.head = head

    def forward(self, values: dict[str, Tensor], before: Tensor) -> Tensor:
        """Return the logits [B, L, V] of the pieces that follow those `before` [B, L]."""
        features: Features = run_stages(self.stages, self.stem(values))
        hidden = self.head.hidden(before, features.values, features.mask)
        return F.linear(hidden, self.head.table.weight, self.head.bias)


def bare_writing_steps(job: Job) -> Steps:
    """Return a function that takes steps of a hand-written loop on the same batches, from two padded matrices."""
    model, (stream,) = BareWriter(job), job.train.values()
    device, bf16 = job.learner.arithmetic.device, job.learner.arithmetic.bf16
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=job.optimizer.param_groups[0]["lr"], weight_decay=0.01, fused=True
    )
    everything = stream.rows.__getitems__(torch.arange(len(stream.rows)))
    inputs = {name: value.to(device) for name, value in everything.inputs.items()}  # type: ignore[union-attr]  # texts
    there = set_entries(everything.fields["back"])
    target = torch.where(there, everything.fields["back"], 0).to(device)
    lengths, written = inputs["mask"].sum(1).cpu(), there.sum(1)
    draws = iter(range(10**9))

    def run(number: int) -> None:
        model.train()
        for _ in range(number):
            rows = stream.order.rows(next(draws))
            longest, most = int(lengths[rows].max()), int(written[rows].max())
            values = {name: value[rows, :longest] for name, value in inputs.items()}
            wanted = target[rows, :most]
            before = F.pad(wanted[:, :-1], (1, 0), value=2)
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
                logits = model(values, before)
            loss = F.cross_entropy(logits.float().flatten(0, 1), wanted.flatten(), ignore_index=0)
            loss.backward()
            optimizer.step()

    return run


def writing(windows: int, steps: int, folder: Path) -> Iterator[Row]:
    """Yield samples/s of a transformer that writes texts as a part of a bare loop's."""
    write_pairs(folder)
    steps = max(1, steps // 4)  # they take longer than those on images
    job, config = job_on(folder, [ENDLESS])
    out = RunDirectory.create(folder / "writing", config, "benchmark")
    bare = bare_writing_steps(job_on(folder, [])[0])
    pairs = interleaved(our_steps(job, out), bare, windows, steps, job.learner.arithmetic.device)
    out.close()
    yield ratio_row(
        "samples/s against a bare loop: texts that are written, transformer",
        pairs,
        ">= 0.95",
        steps,
        job.learner.arithmetic.precision,
    )
