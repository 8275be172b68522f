"""fp16: gradients are scaled on their way through the model, and a step that overflows is left out."""

from dataclasses import replace

import pytest
import torch

from mtl_cli.config.interpolation import resolve
from mtl_cli.config.targets import Trust
from mtl_cli.errors import UserError
from mtl_cli.runs import run
from mtl_cli.runs.build import build
from mtl_cli.runs.checks import precision_problems
from mtl_cli.training import loss_scale
from mtl_cli.training.arithmetic import Arithmetic
from mtl_cli.training.next_step import next_step
from mtl_cli.training.trainer import train_step
from tests import _toy
from tests._resuming import assert_same_run, die_at

GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
PLAIN = {"backbone__dropout": 0.0, "trainer__log_every": 1}


def make(fp16=True, **changes):
    job = build(resolve(_toy.config(**{**PLAIN, **changes})), Trust(("tests",))).job
    arithmetic = Arithmetic(job.learner.arithmetic.device, bf16=False, fp16=fp16)
    job.learner = replace(job.learner, arithmetic=arithmetic)
    return job


def steps(job, number):
    for _ in range(number):
        train_step(job, next_step(job))
        job.progress.step += 1
    return {name: value.clone() for name, value in job.learner.model.state_dict().items()}


class Exact(Arithmetic):
    """Says that it is fp16, and computes in float32, so that scaling alone is seen."""

    def autocast(self):
        return torch.autocast("cpu", enabled=False)


@pytest.mark.parametrize("weighting", ["fixed", "uncertainty", "dwa", "imtl_l"])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_scaling_by_a_power_of_two_changes_no_bit(weighting, accumulate):
    """The weighting's own parameters are not scaled, nor what it makes of losses."""
    changes = {"weighting": _toy.option("weighting", weighting), "trainer__accumulate": accumulate}
    plain, scaled = make(fp16=False, **changes), make(**changes)
    scaled.learner = replace(scaled.learner, arithmetic=Exact(torch.device("cpu"), False, fp16=True))
    one, other = steps(plain, 4), steps(scaled, 4)
    for name, value in one.items():
        assert torch.equal(value, other[name]), name
    for name, value in plain.weighting.state_dict().items():
        assert torch.equal(value.nan_to_num(), scaled.weighting.state_dict()[name].nan_to_num()), name
    assert scaled.progress.good_steps == 4


def test_a_gradient_that_overflows_leaves_the_step_out_and_halves_the_scale(monkeypatch):
    job = make(optimizer={"_target_": "torch.optim.SGD", "lr": 0.1})
    job.progress.loss_scale = 2.0**30
    before = steps(job, 0)
    after = steps(job, 1)
    assert job.progress.loss_scale == 2.0**29
    assert job.progress.overflows == 1
    assert all(torch.equal(before[name], after[name]) for name in before)
    job.progress.loss_scale = 1024.0
    monkeypatch.setattr(loss_scale, "GROWTH", 2)
    moved = steps(job, 2)
    assert not all(torch.equal(before[name], moved[name]) for name in before)
    assert (job.progress.loss_scale, job.progress.good_steps) == (2048.0, 0)


def test_small_gradients_survive_that_would_be_zero_without_a_scale():
    found = {}
    for scale in (1.0, 65536.0):
        tiny = {name: _toy.task(name, weight=1e-6) for name in ("quadrant", "sign")}
        job = make(tasks=tiny, optimizer={"_target_": "torch.optim.SGD", "lr": 1.0})
        job.progress.loss_scale = scale
        step = next_step(job)
        train_step(job, step)
        found[scale] = sum(int((gradient == 0).sum()) for gradient in job.gradients())
    assert found[1.0] > 3 * found[65536.0] > 0  # behind a ReLU that is off they are 0 in any case


@pytest.mark.slow
def test_a_killed_run_resumes_with_its_scale(tmp_path, monkeypatch):
    halved = Arithmetic(torch.device("cpu"), False, fp16=True)
    monkeypatch.setattr("mtl_cli.runs.build.make_arithmetic", lambda config: halved)
    monkeypatch.setattr(loss_scale, "GROWTH", 2)
    config, often = _toy.config(**PLAIN), _toy.config(**PLAIN, save__every=3)
    run.train(config, tmp_path / "whole", [])
    die_at(monkeypatch, 4, lambda: run.train(often, tmp_path / "parts", []))
    run.resume(tmp_path / "parts", {"trust": ["tests"], "save.every": None}, [])
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_what_fp16_does_not_go_with_is_refused():
    with pytest.raises(UserError, match=r"needs a GPU of NVIDIA, and this run is on cpu\. Use trainer\.precision=bf16"):
        build(resolve(_toy.config(trainer__precision="fp16")), Trust(("tests",)))
    job = make(fp16=False, weighting=_toy.option("weighting", "pcgrad"))
    (problem,) = precision_problems("fp16", job.weighting)
    assert "PCGrad computes with gradients of its own" in problem


@GPU
@pytest.mark.parametrize("weighting", ["fixed", "uncertainty"])
def test_a_gpu_learns_in_fp16_what_it_learns_in_fp32(weighting, tmp_path, monkeypatch):
    changes = {"trainer__device": "cuda", "trainer__max_epochs": 12, "weighting": _toy.option("weighting", weighting)}
    changes["backbone__dropout"] = 0.0  # a GPU draws another mask for each precision
    found = {
        precision: run.train(_toy.config(**changes, trainer__precision=precision), tmp_path / precision, [])
        for precision in ("fp32", "fp16")
    }
    for task in ("quadrant", "sign"):
        last = {each: found[each]["last_val"] for each in found}
        assert last["fp16"][f"{task}/accuracy"] >= last["fp32"][f"{task}/accuracy"] - 0.1
        assert last["fp16"][f"{task}/loss"] == pytest.approx(last["fp32"][f"{task}/loss"], rel=0.2, abs=0.02)
    assert found["fp16"]["precision"] == "fp16"
    config = _toy.config(**changes, trainer__precision="fp16", save__every=5)
    die_at(monkeypatch, 12, lambda: run.train(config, tmp_path / "parts", []))
    run.resume(tmp_path / "parts", {"trust": ["tests"], "save.every": None}, [])
    assert (tmp_path / "parts" / "metrics.jsonl").read_bytes() == (tmp_path / "fp16" / "metrics.jsonl").read_bytes()
