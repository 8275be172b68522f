import copy
import json
import math

import pytest
import torch
from torch.nn import functional as F

from mtl_cli.batch import Inputs
from mtl_cli.config.interpolation import resolve
from mtl_cli.config.targets import Trust
from mtl_cli.errors import Interrupted, RunFailure
from mtl_cli.report.progress import Progressbar
from mtl_cli.runs import run
from mtl_cli.runs.build import build
from mtl_cli.seeding import derive
from mtl_cli.training.next_step import next_step
from mtl_cli.training.signals import StopRequest
from mtl_cli.training.trainer import train_step
from tests import _toy

TRUST = Trust(("tests",))


def make(**changes):
    return build(resolve(_toy.config(**changes)), TRUST).job


def steps(job, number):
    for _ in range(number):
        step = next_step(job)
        train_step(job, step)
        job.progress.step += 1
    return job


def weights(job):
    return {name: value.clone() for name, value in job.learner.model.state_dict().items()}


def assert_equal_weights(left, right):
    assert left.keys() == right.keys()
    for name, value in left.items():
        assert torch.equal(value, right[name]), name


def test_one_task_equals_a_plain_pytorch_loop_bit_for_bit():
    constant = {"_target_": "mtl_cli.lr_schedules.Constant", "warmup_steps": 0}
    job = make(tasks={"quadrant": _toy.task("quadrant")}, lr_schedule=constant)
    source = _toy.Toy(1, 16, 0.0, False, -1, 48)
    model = copy.deepcopy(job.learner.model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.01, fused=True)
    trunk, head = model.sharing.trunk, model.heads["quadrant"].layers
    order = job.train["quadrant"].order
    images, labels = source.split("train").images, source.split("train").fields["quadrant"]
    for index in range(7):
        rows = order.rows(index)
        torch.manual_seed(derive(0, "step", index, "quadrant", 0, 0))
        hidden = Inputs(images[rows], "quadrant")
        for stage in trunk:
            hidden = stage(hidden)
        loss = F.cross_entropy(head(hidden), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    steps(job, 7)
    assert_equal_weights(weights(job), model.state_dict())


def test_the_total_loss_is_the_weighted_sum_of_the_tasks_losses():
    job = make(tasks={"quadrant": _toy.task("quadrant", 0.3), "sign": _toy.task("sign", 2.0)})
    step = next_step(job)
    job.weighting.backward(step)
    (batch,) = (step._batches[0][0]["quadrant"],)
    model = copy.deepcopy(job.learner.model)
    model.zero_grad()
    torch.manual_seed(derive(0, "step", 0, "quadrant", 0, 0))
    out = model(batch.inputs, ["quadrant", "sign"]).outputs
    total = 0.3 * F.cross_entropy(out["quadrant"], batch.targets["quadrant"])
    (total + 2.0 * F.cross_entropy(out["sign"], batch.targets["sign"])).backward()
    for own, reference in zip(job.learner.model.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(own.grad, reference.grad, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("missing", [0.0, 0.5])
def test_accumulation_equals_the_large_batch_also_with_missing_labels(missing):
    tasks = {name: _toy.task(name, missing=missing) for name in ("quadrant", "sign")}
    small = {name: _toy.task(name, missing=missing, batch_size=4) for name in ("quadrant", "sign")}
    large = make(tasks=tasks, backbone__dropout=0.0, optimizer={"_target_": "torch.optim.SGD", "lr": 0.1})
    parts = make(
        tasks=small, backbone__dropout=0.0, optimizer={"_target_": "torch.optim.SGD", "lr": 0.1}, trainer__accumulate=4
    )
    for _ in range(3):  # one pass: four draws of 4 rows are one draw of 16, for the pass has one permutation
        steps(large, 1)
        steps(parts, 1)
    for own, reference in zip(parts.learner.model.parameters(), large.learner.model.parameters(), strict=True):
        torch.testing.assert_close(own, reference, rtol=1e-4, atol=1e-6)


def test_half_the_batch_accumulated_twice_as_often_is_the_same_step():
    """What the message of too little memory proposes (`mtl_cli.errors.smaller_parts`)."""
    jobs = []
    for batch_size, accumulate in ((16, 1), (8, 2)):
        tasks = {name: _toy.task(name, batch_size=batch_size) for name in ("quadrant", "sign")}
        job = make(tasks=tasks, trainer__accumulate=accumulate)
        step = next_step(job)
        drawn = [micro["quadrant"].inputs.values for micro in step._batches[0]]
        assert [len(rows) for rows in drawn] == [batch_size] * accumulate
        jobs.append((job.schedule.steps_per_epoch, torch.cat(drawn)))
    assert jobs[0][0] == jobs[1][0]
    assert torch.equal(jobs[0][1], jobs[1][1])


def test_a_task_that_is_absent_from_the_first_step_is_taken_in_by_fused_sgd():
    found = []
    for fused in (True, False):
        sgd = {"_target_": "torch.optim.SGD", "lr": 0.05, "momentum": 0.9, "nesterov": True, "fused": fused}
        tasks = {"quadrant": _toy.task("quadrant"), "sign": _toy.task("sign", seed=2)}
        turns = {"_target_": "mtl_cli.schedules.round_robin.RoundRobin", "epoch_length": "sum", "unit": "task"}
        found.append(steps(make(tasks=tasks, schedule=turns, optimizer=sgd), 5))
    for own, reference in zip(*(job.learner.model.parameters() for job in found), strict=True):
        torch.testing.assert_close(own, reference, rtol=1e-5, atol=1e-6)


def test_a_task_of_weight_zero_is_evaluated_but_not_trained(tmp_path):
    changes = {"tasks": {"quadrant": _toy.task("quadrant"), "sign": _toy.task("sign", 0.0)}}
    job = make(**changes)
    before = weights(job)
    steps(job, 3)
    after = weights(job)
    assert torch.equal(before["heads.sign.layers.0.weight"], after["heads.sign.layers.0.weight"])
    assert not torch.equal(before["heads.quadrant.layers.0.weight"], after["heads.quadrant.layers.0.weight"])
    summary = run.train(_toy.config(**changes), tmp_path / "run", [])
    assert {"quadrant/accuracy", "sign/accuracy"} <= set(summary["test"])


def test_both_tasks_are_learnt_and_shuffled_labels_are_not(tmp_path):
    changes = {"trainer__max_epochs": 15}
    learnt = run.train(_toy.config(**changes), tmp_path / "learnt", [])["test"]
    tasks = {name: _toy.task(name, shuffled=True) for name in ("quadrant", "sign")}
    noise = run.train(_toy.config(tasks=tasks, **changes), tmp_path / "noise", [])["test"]
    assert learnt["quadrant/loss"] < 0.4 * math.log(4)
    assert learnt["sign/accuracy"] > 0.9
    assert noise["quadrant/loss"] > 0.9 * math.log(4)
    assert noise["sign/accuracy"] < 0.8


def test_two_runs_with_one_seed_leave_identical_bytes_and_another_seed_does_not(tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        run.train(_toy.config(seed=seed, ema__decay=0.9, trainer__clip_norm=1.0), tmp_path / name, [])
    texts = [(tmp_path / name / "metrics.jsonl").read_bytes() for name in "abc"]
    assert texts[0] == texts[1] != texts[2]
    states = [torch.load(tmp_path / name / "checkpoints" / "step_00000006.pt") for name in "ab"]
    assert_equal_weights(states[0]["model"], states[1]["model"])


def test_clipping_bounds_the_norm_of_the_gradient():
    free, clipped = make(), make(trainer__clip_norm=0.01)
    steps(free, 1)
    steps(clipped, 1)
    norm = torch.cat([p.grad.flatten() for p in free.learner.model.parameters()]).norm()
    limited = torch.cat([p.grad.flatten() for p in clipped.learner.model.parameters()]).norm()
    assert norm > 0.05
    torch.testing.assert_close(limited, torch.tensor(0.01), rtol=1e-3, atol=0.0)


def test_a_loss_that_is_not_finite_stops_the_run_and_names_task_and_step(tmp_path):
    tasks = {name: _toy.task(name, poison=3) for name in ("quadrant", "sign")}
    job = make(tasks=tasks)
    draw = next(k for k in range(3) if 3 in job.train["quadrant"].order.rows(k))
    with pytest.raises(RunFailure, match=f"task 'quadrant' is nan at step {draw}"):
        run.train(_toy.config(tasks=tasks), tmp_path / "run", [])
    status = json.loads((tmp_path / "run" / "status.json").read_text())
    assert status["status"] == "failed"
    assert "quadrant" in status["reason"]
    assert not list((tmp_path / "run" / "checkpoints").glob("*.pt"))


def test_skipping_leaves_out_exactly_the_bad_steps_and_counts_them(tmp_path):
    tasks = {name: _toy.task(name, poison=3) for name in ("quadrant", "sign")}
    summary = run.train(_toy.config(tasks=tasks, trainer__on_nonfinite="skip"), tmp_path / "run", [])
    assert summary["skipped_steps"] == 2  # the bad row comes once in each of two passes
    assert all(math.isfinite(value) for value in summary["test"].values())


def test_early_stopping_ends_after_patience_evaluations_without_improvement(tmp_path):
    changes = {"trainer__max_epochs": 30, "early_stopping__patience": 2, "optimizer__lr": 1e-9}
    summary = run.train(_toy.config(**changes), tmp_path / "run", [])
    assert summary["steps"] == 9  # the first evaluation is the best, the two after it are no better


@pytest.mark.parametrize("metric", ["skill", "sign/loss", "sign/accuracy"])
def test_early_stopping_and_selection_may_watch_different_metrics(tmp_path, metric):
    changes = {"early_stopping__metric": metric, "early_stopping__patience": 1, "selection__metric": "quadrant/loss"}
    summary = run.train(_toy.config(**changes), tmp_path / "run", [])
    assert summary["selection"]["lower_is_better"] is True
    assert summary["selection"]["best"] == summary["best_val"]["quadrant/loss"] > 0
    records = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    values = [r["selection"] for r in records if r["kind"] == "eval" and r["split"] == "val"]
    assert summary["selection"]["best"] == min(values)


def test_max_steps_decides_when_it_is_set(tmp_path):
    summary = run.train(_toy.config(trainer__max_steps=4, trainer__max_epochs=1), tmp_path / "run", [])
    assert summary["steps"] == 4
    records = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [r["step"] for r in records if r["kind"] == "eval" and r["split"] == "val"] == [3, 4]


def test_selection_never_looks_at_test_data(tmp_path, monkeypatch):
    run.train(_toy.config(), tmp_path / "a", [])
    monkeypatch.setitem(_toy.SIZES, "test", 5)
    monkeypatch.setattr("mtl_cli.runs.data._sources", {})
    run.train(_toy.config(), tmp_path / "b", [])
    lines = [(tmp_path / name / "metrics.jsonl").read_text().splitlines() for name in "ab"]
    assert lines[0][:-1] == lines[1][:-1]
    assert lines[0][-1] != lines[1][-1]


def test_the_evaluated_model_is_the_average_where_there_is_one():
    job = make(ema__decay=0.5)
    steps(job, 4)
    plain = weights(job)
    with job.ema.applied():
        averaged = weights(job)
    assert_equal_weights(plain, weights(job))
    assert not torch.equal(plain["heads.sign.layers.0.weight"], averaged["heads.sign.layers.0.weight"])


def test_tasks_of_different_datasets_draw_a_batch_each():
    job = make(tasks={"quadrant": _toy.task("quadrant", size=20), "sign": _toy.task("sign", seed=2)})
    assert job.schedule.steps_per_epoch == 3  # the longest: 48 rows in batches of 16
    step = next_step(job)
    assert list(step._batches[0][0]) == ["quadrant", "sign"]
    assert [batch.rows for batch in step._batches[0][0].values()] == [10, 16]


def test_a_stop_request_saves_and_names_the_exit_code(tmp_path):
    job = make()
    stop = StopRequest()
    stop.code, stop.name = 143, "SIGTERM"
    from mtl_cli.storage.directory import RunDirectory
    from mtl_cli.training.trainer import train_job

    out = RunDirectory.create(tmp_path / "run", _toy.config(), "hash")
    with pytest.raises(Interrupted) as caught:
        train_job(job, out, stop, Progressbar(6, 0, 0, quiet=True))
    out.close()
    assert caught.value.code == 143
    assert json.loads((tmp_path / "run" / "status.json").read_text())["status"] == "interrupted"
    assert (tmp_path / "run" / "checkpoints" / "step_00000000.pt").is_file()
