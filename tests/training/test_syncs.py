"""No step waits for the device: on torch's meta device, where a value that is read is an error, steps still work."""

import dataclasses
import importlib
from pathlib import Path

import pytest
import torch

from mtl_cli.config.interpolation import resolve
from mtl_cli.config.shipped import conf_dir
from mtl_cli.config.targets import Trust
from mtl_cli.runs import build as builder
from mtl_cli.runs import modelling
from mtl_cli.training.arithmetic import Arithmetic
from mtl_cli.training.next_step import next_step
from mtl_cli.training.trainer import train_step
from mtl_cli.weightings.base import Weighting
from tests import _toy
from tests._thinned import thinned

FOREACH = {"_target_": "torch.optim.AdamW", "lr": 0.01, "weight_decay": 0.01, "foreach": True}


def options(group):
    found = sorted(path.stem for path in Path(conf_dir(), group).glob("*.yaml"))
    assert len(found) > 2
    return found


def solves_on_the_host(method):
    """Whether the class of a weighting says that its small problem, of K tasks, is solved on the CPU."""
    module, _, name = _toy.option("weighting", method)["_target_"].rpartition(".")
    return getattr(getattr(importlib.import_module(module), name), "on_cpu", False)


SOLVED_ON_THE_HOST = [method for method in options("weighting") if solves_on_the_host(method)]
assert len(SOLVED_ON_THE_HOST) > 8


def take_steps(monkeypatch, number=3, **changes):
    """Take steps with all tensors on the meta device, which knows shapes and no values."""
    monkeypatch.setattr(builder, "make_arithmetic", lambda config: Arithmetic(torch.device("meta"), bf16=False))
    cpu_stream = Weighting.stream  # the meta device has no generators
    monkeypatch.setattr(Weighting, "stream", lambda self, at="cpu": cpu_stream(self) if str(at) == "cpu" else None)
    names = []
    original = modelling.partition

    def partition(model, *arguments):
        names.append({id(parameter): name for name, parameter in model.named_parameters()})
        return original(model, *arguments)

    monkeypatch.setattr(modelling, "partition", partition)
    config = _toy.config(optimizer=FOREACH, trainer__log_every=100, trainer__max_epochs=50, **changes)
    job = builder.build(resolve(config), Trust(("tests",))).job
    moved = dict(job.learner.model.named_parameters())  # others than before: meta tensors take no place of real ones
    parts = job.learner.partition
    of = lambda parameters: [moved[names[0][id(parameter)]] for parameter in parameters]  # noqa: E731
    specific = {task: of(own) for task, own in parts.specific.items()}
    parts = dataclasses.replace(
        parts, shared=of(parts.shared), specific=specific, trunk=of(parts.trunk), above=of(parts.above)
    )
    job.learner = dataclasses.replace(job.learner, partition=parts)
    job.learner.model.train()
    for _ in range(number):
        train_step(job, next_step(job))
        job.progress.step += 1
    return job


@pytest.mark.parametrize("mode", options("sharing"))
def test_no_sharing_mode_reads_a_value(mode, monkeypatch):
    take_steps(monkeypatch, sharing=_toy.option("sharing", mode), backbone__channels=[4, 4])


@pytest.mark.parametrize(
    "method", thinned([name for name in options("weighting") if name not in SOLVED_ON_THE_HOST], 12)
)
def test_no_weighting_reads_a_value_that_does_not_say_so(method, monkeypatch):
    take_steps(monkeypatch, weighting=_toy.option("weighting", method))


@pytest.mark.parametrize("method", ["gradnorm", "graddrop"])
def test_micro_batches_at_the_features_read_no_value(method, monkeypatch):
    weighting = {**_toy.option("weighting", method), "level": "features"}
    tasks = {"quadrant": _toy.task("quadrant", missing=0.5), "sign": _toy.task("sign", missing=0.5)}
    take_steps(monkeypatch, weighting=weighting, tasks=tasks, trainer__accumulate=2)


@pytest.mark.parametrize("method", SOLVED_ON_THE_HOST)
def test_the_others_read_the_gramian(method, monkeypatch):
    with pytest.raises((NotImplementedError, RuntimeError), match=r"[Mm]eta"):
        take_steps(monkeypatch, weighting=_toy.option("weighting", method))


@pytest.mark.parametrize(
    "changes",
    [
        {"trainer__clip_norm": 1.0, "ema__decay": 0.9},
        {"trainer__accumulate": 2},
        {"tasks": {"quadrant": _toy.task("quadrant", missing=0.5), "sign": _toy.task("sign", missing=0.5)}},
        {"tasks": {"quadrant": _toy.task("quadrant"), "sign": _toy.task("sign", seed=2)}},
        {"schedule": _toy.option("schedule", "round_robin")},
    ],
    ids=["clipping and average", "accumulation", "missing labels", "two datasets", "round robin"],
)
def test_no_way_of_training_reads_a_value(changes, monkeypatch):
    take_steps(monkeypatch, **changes)


def test_skipping_bad_steps_reads_one(monkeypatch):
    with pytest.raises((NotImplementedError, RuntimeError), match=r"[Mm]eta"):
        take_steps(monkeypatch, trainer__on_nonfinite="skip")
