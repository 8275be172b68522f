"""A GPU computes what a CPU computes, and a step does not wait for it; skipped where there is no GPU."""

import copy

import pytest
import torch

from mtl_cli.config.interpolation import resolve
from mtl_cli.config.targets import Trust
from mtl_cli.runs.build import build
from mtl_cli.training.arithmetic import torch_settings
from mtl_cli.training.next_step import next_step
from mtl_cli.training.trainer import train_step
from mtl_cli.weightings.base import Weighting
from tests import _toy
from tests.training.test_syncs import SOLVED_ON_THE_HOST, options

pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU"),
    pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype"),
]

SGD = {"_target_": "torch.optim.SGD", "lr": 0.05, "momentum": 0.9, "fused": True}


@pytest.fixture
def drawn_on(monkeypatch):
    """The devices on which weightings draw random numbers, which differ between devices."""
    devices = set()
    original = Weighting.stream

    def stream(self, at="cpu"):
        devices.add(torch.device(at).type)
        return original(self, at)

    monkeypatch.setattr(Weighting, "stream", stream)
    return devices


def trained(device, steps=5, waits=True, **changes):
    """Return the state of a model after some steps; without `waits`, a step that waits for the GPU is an error."""
    base = {"optimizer": SGD, "trainer__log_every": 100, "trainer__max_epochs": 50, "backbone__dropout": 0.0}
    changes = copy.deepcopy(changes)
    config = resolve(_toy.config(**{**base, **changes, "trainer__device": device}))
    with torch_settings(config):
        job = build(config, Trust(("tests",))).job
        job.learner.model.train()
        try:
            for number in range(steps):
                if number >= 2 and not waits:
                    torch.cuda.set_sync_debug_mode("error")
                train_step(job, next_step(job))
                job.progress.step += 1
        finally:
            if device == "cuda":
                torch.cuda.set_sync_debug_mode("default")
    return {name: value.detach().cpu() for name, value in job.learner.model.state_dict().items()}


def assert_same(changes, atol=2e-4, **more):
    ours, theirs = trained("cuda", **more, **changes), trained("cpu", **changes)
    assert ours.keys() == theirs.keys()
    worst = {name: float((ours[name].double() - theirs[name].double()).abs().max()) for name in ours}
    assert max(worst.values()) < atol, worst


@pytest.mark.parametrize("method", options("weighting"))
def test_a_weighting_takes_the_steps_of_a_cpu(method, drawn_on):
    changes = {"weighting": _toy.option("weighting", method)}
    waits = method in SOLVED_ON_THE_HOST
    state = trained("cuda", waits=waits, **changes)
    assert all(value.isfinite().all() for value in state.values() if value.is_floating_point())
    if "cuda" not in drawn_on:
        assert_same(changes)


@pytest.mark.parametrize("mode", options("sharing"))
def test_a_sharing_mode_takes_the_steps_of_a_cpu(mode):
    assert_same({"sharing": _toy.option("sharing", mode), "backbone__channels": [4, 4]}, waits=False)


@pytest.mark.parametrize(
    "changes",
    [
        {"trainer__clip_norm": 1.0, "ema__decay": 0.9},
        {"trainer__accumulate": 2},
        {"data__workers": 2},
        {"tasks": {"quadrant": _toy.task("quadrant", missing=0.5), "sign": _toy.task("sign", missing=0.5)}},
        {"tasks": {"quadrant": _toy.task("quadrant"), "sign": _toy.task("sign", seed=2)}},
        {"schedule": _toy.option("schedule", "round_robin")},
        _toy.dense(),
    ],
    ids=["clipping and average", "accumulation", "workers", "missing labels", "two datasets", "round robin", "dense"],
)
def test_a_way_of_training_takes_the_steps_of_a_cpu(changes):
    assert_same(changes)


@pytest.mark.parametrize("level", ["parameters", "features"])
@pytest.mark.parametrize("method", ["mgda", "upgrad", "pcgrad"])
def test_both_levels_take_the_steps_of_a_cpu(method, level):
    assert_same({"weighting": {**_toy.option("weighting", method), "level": level}})


def test_two_deterministic_runs_are_identical():
    first, second = (trained("cuda", deterministic=True) for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_bf16_stays_near_float32():
    fast, exact = trained("cuda", trainer__precision="bf16"), trained("cuda")
    worst = max(float((fast[name].double() - exact[name].double()).abs().max()) for name in fast)
    assert 0 < worst < 0.05
