"""Runs that die, and whether two runs left the same behind."""

import json

import pytest
import torch

from mtl_cli.runs import run
from mtl_cli.training import trainer
from tests import _toy


class Killed(BaseException):
    """Stands for a process that dies on the spot."""


def die_at(monkeypatch, step, start):
    """Let what `start` runs die when optimizer step `step` begins, without any clean-up that a signal would allow."""
    original = trainer.next_step

    def next_step(job):
        if job.progress.step == step:
            raise Killed
        return original(job)

    monkeypatch.setattr(trainer, "next_step", next_step)
    with pytest.raises(Killed):
        start()
    monkeypatch.setattr(trainer, "next_step", original)


def train_until(monkeypatch, directory, step, resume=False, **changes):
    """Run or resume until optimizer step `step` begins."""

    def start():
        run.resume(directory, {"trust": ["tests"]}, []) if resume else run.train(_toy.config(**changes), directory, [])

    die_at(monkeypatch, step, start)


def final(directory):
    name = json.loads((directory / "checkpoints" / "last.json").read_text())["file"]
    return torch.load(directory / "checkpoints" / name, weights_only=True)


def assert_same_run(left, right):
    assert (left / "metrics.jsonl").read_bytes() == (right / "metrics.jsonl").read_bytes()
    one, other = final(left), final(right)
    for key in ("model", "ema", "optimizer", "weighting"):
        assert_same(one[key], other[key], key)
    best = [json.loads((folder / "checkpoints" / "best.json").read_text()) for folder in (left, right)]
    assert best[0] == best[1]
    summaries = [json.loads((folder / "summary.json").read_text()) for folder in (left, right)]
    assert summaries[0]["test"] == summaries[1]["test"]
    assert summaries[0]["best_val"] == summaries[1]["best_val"]


def assert_same(one, other, where):
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other), where
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_same(one[key], other[key], f"{where}.{key}")
    elif isinstance(one, list):
        for index, pair in enumerate(zip(one, other, strict=True)):
            assert_same(*pair, f"{where}.{index}")
    else:
        assert one == other, where
