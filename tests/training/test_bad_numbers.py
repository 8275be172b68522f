"""Losses, gradients, inputs and targets that are not finite: found, named, and what the run does then."""

import json
import math

import pytest
import torch

from mtl_cli.errors import RunFailure
from mtl_cli.runs import run
from mtl_cli.storage.records import read_records
from mtl_cli.training import recovery, trainer
from mtl_cli.training.bad_rows import BadRows, describe
from mtl_cli.training.window import NotFinite
from tests import _toy
from tests._resuming import Killed, assert_same_run
from tests._thinned import thinned
from tests.training.test_trainer import make, steps

CONSTANT = {"_target_": "mtl_cli.lr_schedules.Constant", "warmup_steps": 0}


def poisoned(row=3):
    return {name: _toy.task(name, poison=row) for name in ("quadrant", "sign")}


def exploding(monkeypatch, at, times=1, rate=0.006):
    """Spoil the gradient of optimizer step `at` while the learning rate is above `rate`, `times` times at most."""
    original, left = trainer.next_step, [times]

    def next_step(job):
        step = original(job)
        if job.progress.step == at and left[0] and job.optimizer.param_groups[0]["lr"] > rate:
            left[0] -= 1
            finish = step.finish

            def spoil():
                finish()
                next(iter(job.learner.model.parameters())).grad.fill_(math.inf)

            step.finish = spoil
        return step

    monkeypatch.setattr(trainer, "next_step", next_step)


def test_a_row_that_is_not_finite_is_named_with_its_dataset(tmp_path):
    with pytest.raises(RunFailure, match=r"Not finite are the inputs of row 3 of the training data of 'quadrant'"):
        run.train(_toy.config(tasks=poisoned()), tmp_path / "run", [])
    record = json.loads((tmp_path / "run" / "nonfinite.json").read_text())
    job = make(tasks=poisoned())
    assert record["datasets"]["quadrant"]["inputs"] == [3]
    assert record["datasets"]["quadrant"]["rows"] == job.train["quadrant"].order.rows(record["step"]).tolist()
    assert "row 3 " in json.loads((tmp_path / "run" / "status.json").read_text())["reason"]


@pytest.mark.parametrize("changes", [{"trainer__accumulate": 2}, {"data__workers": 2}], ids=str)
def test_the_row_is_found_among_micro_batches_and_with_workers(tmp_path, changes):
    with pytest.raises(RunFailure, match="inputs of row 3 of"):
        run.train(_toy.config(tasks=poisoned(), **changes), tmp_path / "run", [])


def test_a_target_that_is_not_finite_is_named(monkeypatch, tmp_path):
    tasks = {"sign": _toy.task("sign")}
    job = make(tasks=tasks)
    job.train["sign"].rows.dataset.fields["sign"] = torch.zeros(48)
    job.train["sign"].rows.dataset.fields["sign"][[5, 7]] = torch.tensor([math.inf, math.nan])  # NaN is a missing label
    found = recovery.bad_rows(job.train, {"sign": 0}, 3)
    job.train["sign"].rows.dataset.fields["sign"] = torch.zeros(48, dtype=torch.int64)  # others may use the dataset
    assert found["sign"].targets == [5]
    assert describe(found) == "Not finite are the targets of row 5 of the training data of 'sign'."


def test_rows_are_shown_in_short():
    assert describe({"a": BadRows(list(range(20)), [], [])}) == (
        "Its inputs and targets are finite: rows 0, 1, 2, 3, 4, 5, 6, 7 and 12 more of the training data of 'a'."
    )
    assert describe({}) == ""


def test_a_gradient_that_is_not_finite_is_named_though_all_losses_up_to_it_are_finite(tmp_path, monkeypatch):
    exploding(monkeypatch, at=2)
    with pytest.raises(RunFailure, match=r"The gradient's norm is inf at step 2\. Its inputs and targets are finite"):
        run.train(_toy.config(lr_schedule=CONSTANT), tmp_path / "run", [])


@pytest.mark.parametrize("clip", [None, 0.5])
def test_what_is_not_finite_is_found_within_log_every_steps_and_not_read_before(monkeypatch, clip):
    job = make(trainer__clip_norm=clip, trainer__log_every=50)
    monkeypatch.setattr(torch.Tensor, "tolist", lambda self: pytest.fail("a tensor is read at a step"))
    monkeypatch.setattr(torch.Tensor, "item", lambda self: pytest.fail("a tensor is read at a step"))
    monkeypatch.setattr(torch.Tensor, "__bool__", lambda self: pytest.fail("a tensor is read at a step"))
    monkeypatch.setattr(torch.Tensor, "__float__", lambda self: pytest.fail("a tensor is read at a step"))
    steps(job, 3)
    monkeypatch.undo()
    job.window.check()
    next(iter(job.learner.model.parameters())).data.fill_(math.nan)
    steps(job, 2)
    with pytest.raises(NotFinite, match="is nan at step 3"):
        job.window.check()


def test_skipping_leaves_no_trace_of_a_bad_step_in_batch_norm(tmp_path):
    config = _toy.config(tasks=poisoned(), trainer__on_nonfinite="skip", backbone__norm="batch")
    summary = run.train(config, tmp_path / "run", [])
    assert summary["skipped_steps"] == 2
    assert all(math.isfinite(value) for value in summary["test"].values())
    assert "inputs of row 3 of" in (tmp_path / "run" / "train.log").read_text()


ROLLBACK = {
    "trainer__on_nonfinite": "rollback", "trainer__max_epochs": 3, "save__every": 2, "lr_schedule": CONSTANT,
    "trainer__log_every": 3, "ema__decay": 0.9,
}  # fmt: skip


def test_rollback_goes_back_to_the_last_checkpoint_with_half_the_learning_rate(tmp_path, monkeypatch):
    exploding(monkeypatch, at=5)
    summary = run.train(_toy.config(**ROLLBACK), tmp_path / "run", [])
    assert (summary["steps"], summary["rollbacks"], summary["skipped_steps"]) == (9, 1, 0)
    records = read_records(tmp_path / "run" / "metrics.jsonl")
    (back,) = [record for record in records if record["kind"] == "rollback"]
    assert back == {
        "kind": "rollback", "step": 4, "from_step": 5, "reason": "The gradient's norm is inf", "lr_factor": 0.5,
    }  # fmt: skip
    rates = {record["step"]: record["lr"] for record in records if record["kind"] == "train"}
    assert rates == {3: 0.01, 6: 0.005, 9: 0.005}


def test_rollback_has_a_checkpoint_to_go_back_to_from_the_start(tmp_path, monkeypatch):
    exploding(monkeypatch, at=0)
    summary = run.train(_toy.config(**{**ROLLBACK, "save__every": None}), tmp_path / "run", [])
    assert (summary["steps"], summary["rollbacks"]) == (9, 1)


def test_rollback_gives_up_after_five_times(tmp_path, monkeypatch):
    exploding(monkeypatch, at=5, times=99, rate=0.0)
    with pytest.raises(RunFailure, match=r"gradient's norm is inf at step 5.* The run went back 5 times already"):
        run.train(_toy.config(**ROLLBACK), tmp_path / "run", [])
    lines = read_records(tmp_path / "run" / "metrics.jsonl")
    assert [line["lr_factor"] for line in lines if line["kind"] == "rollback"] == [0.5, 0.25, 0.125, 0.0625, 0.03125]


def test_rollback_does_not_try_again_where_the_data_are_the_cause(tmp_path):
    with pytest.raises(RunFailure, match=r"inputs of row 3 of .* Going back would not help"):
        run.train(_toy.config(**ROLLBACK, tasks=poisoned()), tmp_path / "run", [])


@pytest.mark.parametrize(
    "weighting", thinned(["Fixed", "Uncertainty", "DWA", "FAMO", "PCGrad", "NashMTL"], ["Uncertainty"])
)
@pytest.mark.parametrize("killed_at", ["rolling back", "after it"])
def test_a_run_killed_around_a_rollback_resumes_to_the_same_bytes(tmp_path, monkeypatch, killed_at, weighting):
    files = {"Fixed": "fixed", "Uncertainty": "uncertainty", "DWA": "dwa", "FAMO": "famo", "PCGrad": "pcgrad"}
    if killed_at == "rolling back" and weighting != "Fixed":
        pytest.skip("one is enough")
    changes = {**ROLLBACK, "weighting": _toy.option("weighting", files.get(weighting, "nash_mtl"))}
    exploding(monkeypatch, at=5)
    run.train(_toy.config(**changes), tmp_path / "whole", [])
    monkeypatch.undo()
    exploding(monkeypatch, at=5, times=9)
    target, name = (recovery, "roll_back") if killed_at == "rolling back" else (trainer, "log")
    original = getattr(target, name)

    def killed(job, *rest):
        if killed_at == "rolling back" or job.progress.rollbacks:
            raise Killed
        return original(job, *rest)

    monkeypatch.setattr(target, name, killed)
    with pytest.raises(Killed):
        run.train(_toy.config(**changes), tmp_path / "parts", [])
    monkeypatch.setattr(target, name, original)
    run.resume(tmp_path / "parts", {"trust": ["tests"]}, [])
    assert_same_run(tmp_path / "whole", tmp_path / "parts")
