"""Every weighting in the real trainer: data, schedules, precision, accumulation, sharing modes and resuming."""

import pytest
import torch

from mtl_cli.config.interpolation import resolve
from mtl_cli.config.shipped import conf_dir
from mtl_cli.config.targets import Trust
from mtl_cli.errors import UserError
from mtl_cli.runs.build import build
from mtl_cli.training.next_step import next_step
from mtl_cli.training.trainer import train_step
from tests import _toy
from tests._thinned import thinned
from tests.weightings._inputs import GRADIENT_METHODS, LAST_LAYER_METHODS, METHODS, ROW_METHODS, config, load_class
from tests.weightings._inputs import make as make_alone


def make(method, sharing="hard", overrides=None, **changes):
    first = next(iter(changes.get("tasks", {"quadrant": None})))
    weighting = {**config(method, first), **(overrides or {})}
    settings = {"trainer__log_every": 2, "trainer__clip_norm": 1.0, "ema__decay": 0.9, **changes}
    return build(
        resolve(_toy.config(weighting=weighting, sharing=_toy.option("sharing", sharing), **settings)),
        Trust(("tests",)),
    ).job


def cautions(method, overrides=None, **changes):
    node = {**config(method, "quadrant"), **(overrides or {})}
    return build(resolve(_toy.config(weighting=node, **changes)), Trust(("tests",))).cautions


@pytest.mark.parametrize("method", METHODS)
def test_no_default_averages_gradients_twice(method):
    assert not [text for text in cautions(method) if "averages" in text]


SILENT = [name for name in METHODS if make_alone(name, 2).silent_epochs]
AVERAGES = {"db_mtl": {"beta": 0.9}, "moco": {"beta_sigma": 0.5}}


@pytest.mark.parametrize("method", AVERAGES)
def test_an_average_under_momentum_is_told_with_an_override_that_ends_it(method):
    (text,) = cautions(method, AVERAGES[method])
    assert "averages the gradients of several steps" in text
    sgd = {"_target_": "torch.optim.SGD", "lr": 0.1}
    assert cautions(method, AVERAGES[method], optimizer=sgd) == []
    assert cautions(method, AVERAGES[method], optimizer={**sgd, "momentum": 0.9}) == [text]
    advice = dict(part.removeprefix("weighting.").split("=") for part in text.rstrip(".").split("Use ")[1].split())
    assert cautions(method, {**AVERAGES[method], **{key: float(value) for key, value in advice.items()}}) == []


@pytest.mark.parametrize("method", SILENT)
def test_a_run_that_is_not_longer_than_a_warm_up_is_told(method):
    epochs = make_alone(method, 2).silent_epochs
    (text,) = cautions(method, trainer__max_epochs=epochs)
    assert f"after {epochs} epochs of warm-up, and this run has {epochs}: it never does" in text
    assert text.endswith(f"Use trainer.max_epochs={3 * epochs} trainer.max_steps=null.")
    assert cautions(method, trainer__max_epochs=3 * epochs) == []
    assert cautions(method, trainer__max_epochs=None, trainer__max_steps=3 * epochs) == [text]
    assert cautions(method, trainer__max_epochs=None, trainer__max_steps=3 * epochs + 3) == []


def take(job, number):
    """Take steps; return the gradients' finiteness and the notes of the last."""
    for _ in range(number):
        step = next_step(job)
        train_step(job, step)
        job.progress.step += 1
        if job.progress.step % job.schedule.steps_per_epoch == 0:
            job.weighting.after_epoch()
    return step


def state(job):
    return {name: value.clone() for name, value in job.learner.model.state_dict().items()}


TWO_DATASETS = {"quadrant": _toy.task("quadrant"), "sign": _toy.task("sign", seed=2)}
MISSING = {"quadrant": _toy.task("quadrant", missing=0.7), "sign": _toy.task("sign", missing=0.7)}
VARIANTS = {
    "one dataset": {},
    "two datasets": {"tasks": TWO_DATASETS},
    "missing labels": {"tasks": MISSING},
    "accumulation": {"trainer__accumulate": 2},
    "bf16": {"trainer__precision": "bf16"},
    "features": {"level": "features", "trainer__precision": "bf16", "trainer__accumulate": 2},
    "round robin": {"schedule": _toy.option("schedule", "round_robin"), "tasks": TWO_DATASETS},
}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("method", thinned(METHODS, 12))
def test_a_run_moves_every_weight_to_a_finite_place(method, variant):
    changes = dict(VARIANTS[variant])
    if "level" in changes:
        if "features" not in getattr(load_class(method), "levels", ()):
            return
        changes["overrides"] = {"level": changes.pop("level")}
    job = make(method, **changes)
    before = state(job)
    last = take(job, 4)
    after = state(job)
    assert all(value.isfinite().all() for value in after.values())
    assert all(not torch.equal(after[name], before[name]) for name in after)
    assert all(torch.as_tensor(value).isfinite().all() for value in last.notes.values())


SGD = {"_target_": "torch.optim.SGD", "lr": 0.05}
CROSS_METHODS = [method for method in METHODS if load_class(method).num_draws > 1]
RARE = {"missing": 0.8, "seed": 3}
"""Few labels: micro-batches of 2 rows of which some have none."""


def alike(method, overrides=None, rows=16, parts=8, **data):
    """Return jobs that take the same steps, one whole and one in `parts`: an epoch has one permutation of the rows."""
    jobs = []
    for accumulate in (1, parts):
        tasks = {name: _toy.task("quadrant", batch_size=rows // accumulate, **data) for name in ("a", "b")}
        if method not in LAST_LAYER_METHODS:  # they take a plain cross-entropy only
            tasks["b"]["label_smoothing"] = 0.3
        plain = {"backbone__dropout": 0.0, "optimizer": SGD, "trainer__clip_norm": None, "ema__decay": None}
        jobs.append(make(method, overrides=overrides, tasks=tasks, trainer__accumulate=accumulate, **plain))
    return jobs


def assert_alike(parts, whole):
    """Compare models and weightings to a relative 1e-5."""
    for of in (lambda job: job.learner.model.parameters(), lambda job: job.weighting.parameters(),
               lambda job: job.weighting.buffers()):  # fmt: skip
        for one, other in zip(of(parts), of(whole), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6, equal_nan=True)
    assert all(value.isfinite().all() for value in whole.learner.model.parameters())


@pytest.mark.parametrize("method", [name for name in METHODS if load_class(name).num_draws == 1])
def test_micro_batches_without_any_label_add_up_to_the_large_batch(method):
    whole, parts = alike(method, **RARE)
    empty = 0
    for _ in range(3):
        take(whole, 1)
        empty += sum(not batch.targets for micro in take(parts, 1)._batches[0] for batch in micro.values())
    assert empty >= 3
    assert_alike(parts, whole)


@pytest.mark.parametrize("missing", [0.0, 0.6])
@pytest.mark.parametrize("method", CROSS_METHODS)
def test_halves_of_a_batch_give_heads_the_mean_over_its_labels_and_the_trunk_its_weighted_rows(method, missing):
    parts = 8 if missing else 1
    jobs = [alike(name, missing=missing, parts=parts)[bool(missing)] for name in ("fixed", method)]
    plain, ours = jobs
    weights = ours.weighting.backward(next_step(ours))
    model, step = plain.learner.model, next_step(plain)
    trunk, total = plain.learner.partition.shared, 0.0
    sums = dict.fromkeys(step.tasks, 0.0)
    for each in step.passes():
        for task, loss in each.losses.items():
            sums[task] = sums[task] + loss
    for task, loss in sums.items():
        loss.backward(inputs=plain.learner.partition.specific[task], retain_graph=True)
        total = total + float(weights[task]) * loss
    total.backward(inputs=trunk)
    for one, other in zip(ours.learner.model.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("missing", [0.0, 0.6])
@pytest.mark.parametrize("method", GRADIENT_METHODS)
def test_one_solution_per_step_at_the_features_equals_the_large_batch(method, missing):
    whole, parts = alike(method, {"level": "features"}, parts=4, missing=missing)
    take(whole, 3)
    take(parts, 3)
    assert_alike(parts, whole)


def test_the_second_forward_at_the_features_sees_the_same_masks_and_leaves_batch_norm_alone(monkeypatch):
    monkeypatch.setattr(load_class("pcgrad"), "forward", lambda self, gramian, losses, present: torch.ones_like(losses))
    changes = {"backbone__norm": "batch", "backbone__dropout": 0.5, "trainer__accumulate": 4}
    plain, ours = make("fixed", **changes), make("pcgrad", overrides={"level": "features"}, **changes)
    for job in (plain, ours):
        job.weighting.backward(next_step(job))
    for one, other in zip(ours.learner.model.parameters(), plain.learner.model.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-5, atol=1e-7)
    assert len(list(ours.learner.model.buffers())) > 0
    for one, other in zip(ours.learner.model.buffers(), plain.learner.model.buffers(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("method", thinned(METHODS, 12))
def test_a_run_on_two_datasets_in_turns_resumes_bit_for_bit(method):
    changes = VARIANTS["round robin"]
    whole = make(method, **changes)
    take(whole, 5)
    first = make(method, **changes)
    take(first, 3)
    second = make(method, **changes)
    second.load(first.state())
    take(second, 2)
    wanted = state(whole)
    assert all(torch.equal(value, wanted[name]) for name, value in state(second).items())


DEEP = {"backbone__channels": [4, 4]}  # stages enough for two levels of experts
MODES = [path.stem for path in sorted((conf_dir() / "sharing").glob("*.yaml"))]


@pytest.mark.parametrize("sharing", MODES)
@pytest.mark.parametrize("level", ["parameters", "features"])
def test_weights_of_one_equal_the_plain_sum_in_every_sharing_mode(sharing, level, monkeypatch):
    pcgrad = load_class("pcgrad")
    monkeypatch.setattr(pcgrad, "forward", lambda self, gramian, losses, present: torch.ones_like(losses))
    plain = make("fixed", sharing, **DEEP)
    offered = plain.learner.model.sharing.has_boundary if level == "features" else True
    if not offered or not plain.learner.partition.shared:
        with pytest.raises(UserError, match=r"Use weighting[.=]"):
            make("pcgrad", sharing, {"level": level}, **DEEP)
        return
    ours = make("pcgrad", sharing, {"level": level}, **DEEP)
    for job in (ours, plain):
        job.weighting.backward(next_step(job))
    for one, other in zip(ours.learner.model.parameters(), plain.learner.model.parameters(), strict=True):
        assert (one.grad is None) == (other.grad is None)
        if one.grad is not None:
            assert torch.allclose(one.grad, other.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("method", ROW_METHODS)
def test_a_single_task_is_refused_before_training(method):
    with pytest.raises(UserError, match=r"weighting=fixed"):
        make(method, tasks={"quadrant": _toy.task("quadrant")})


def test_tasks_of_two_datasets_are_refused_at_the_features():
    with pytest.raises(UserError, match=r"weighting\.level=parameters"):
        make("pcgrad", overrides={"level": "features"}, tasks=TWO_DATASETS)


@pytest.mark.parametrize("method", METHODS)
def test_a_bad_gradient_skips_the_step_and_leaves_no_trace_in_the_state(method):
    tasks = {"quadrant": _toy.task("quadrant", poison=5), "sign": _toy.task("sign", poison=5)}
    job = make(method, tasks=tasks, trainer__on_nonfinite="skip")
    take(job, 6)
    assert job.progress.skipped >= 1
    assert all(value.isfinite().all() for value in state(job).values())
    assert all(value.isfinite().all() or name == "first" for name, value in job.weighting.named_buffers())
