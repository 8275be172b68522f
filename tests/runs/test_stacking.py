"""Tasks that are computed as one against the same tasks one by one."""

import pytest
import torch

from mtl_cli.config.run_config import checked
from mtl_cli.config.targets import Trust
from mtl_cli.runs import stacking
from mtl_cli.runs.build import build
from mtl_cli.runs.components import bind_all
from mtl_cli.training.evaluate import flat
from mtl_cli.training.next_step import next_step
from mtl_cli.training.selection import evaluate_validation
from mtl_cli.training.trainer import train_step
from tests.runs import _stacks
from tests.runs._stacks import ANSWERS, NUMBERS, config_of, job_of

SMALL = ["trainer.precision=fp32", "trainer.device=cpu", "data.batch_size=16", "trainer.log_every=1"]
in_folder = _stacks.in_folder
SETTINGS = {
    "fixed": {"overrides": ["weighting=fixed"]},
    "uncertainty, hidden heads": {"overrides": ["weighting=uncertainty"], "head": [5]},
    "famo, averages": {"overrides": ["weighting=famo", "ema.decay=0.9"]},
    "dwa, accumulated": {"overrides": ["weighting=dwa", "trainer.accumulate=3", "data.batch_size=4"]},
    "declared weights, one of 0": {"own": {"n1": {"weight": 0.3}, "a2": {"weight": 2.0}, "n4": {"weight": 0.0}}},
    "smoothed and focal": {"answers": {"label_smoothing": 0.1, "focal_gamma": 2.0, "class_weights": "balanced"}},
    "classes": {"answered": "c", "own": {"c2": {"weight": 2.0}}},
    "classes, smoothed and focal, mgda": {
        "answered": "c",
        "overrides": ["weighting=mgda", "weighting.level=features"],
        "answers": {"label_smoothing": 0.1, "focal_gamma": 2.0},
        "own": {"c3": {"class_weights": "balanced"}},
    },
    "labels, accumulated": {"answered": "l", "overrides": ["trainer.accumulate=3", "data.batch_size=4"]},
    "labels, two members": {"answered": "l", "backbone": ["backbone=tabm", "backbone.members=2", "backbone.width=8"]},
    "absolute errors": {"kind": "L1Regression", "overrides": ["optimizer=sgd", "optimizer.lr=0.1"]},
    "huber, sgd": {"kind": "HuberRegression", "overrides": ["optimizer=sgd", "optimizer.lr=0.1"]},
    "clipped": {"overrides": ["trainer.clip_norm=0.1", "trainer.on_nonfinite=skip"]},
    "pcgrad, parameters": {"overrides": ["weighting=pcgrad"], "head": [5]},
    "mgda, features": {"overrides": ["weighting=mgda", "weighting.level=features"]},
    "upgrad, features, accumulated": {
        "overrides": ["weighting=upgrad", "weighting.level=features", "trainer.accumulate=2", "data.batch_size=8"],
    },
    "gradnorm, one of 0": {"overrides": ["weighting=gradnorm"], "own": {"n1": {"weight": 0.3}, "n4": {"weight": 0.0}}},
    "aligned_mtl, reused": {"overrides": ["weighting=aligned_mtl", "weighting.update_every=2"], "head": [5]},
    "graddrop, features": {"overrides": ["weighting=graddrop", "weighting.level=features"]},
    "modo, accumulated": {"overrides": ["weighting=modo", "trainer.accumulate=2", "data.batch_size=8"]},
    "two members": {"backbone": ["backbone=tabm", "backbone.members=2", "backbone.width=8"]},
    "two members, mgda": {
        "overrides": ["weighting=mgda", "weighting.level=features"],
        "backbone": ["backbone=tabm", "backbone.members=2", "backbone.width=8", "backbone.dropout=0"],
    },
    "db_mtl": {"overrides": ["weighting=db_mtl", "optimizer=sgd"]},
}
SLOW = (
    "absolute",
    "modo",
    "labels, two members",
    "two members, mgda",
    "gradnorm",
    "graddrop",
    "aligned_mtl",
    "db_mtl",
    "upgrad",
)
"""Weightings of settings whose like is tested by default too."""


def take_steps(job, number):
    job.learner.model.train()
    for _ in range(number):
        update = train_step(job, next_step(job))
        job.progress.step += 1
    return update


def both(monkeypatch, **settings):
    """Return the job with stacks and the one without, of the same config."""
    config = config_of([*SMALL, *settings.pop("overrides", [])], **settings)
    return [job_of(config, together, monkeypatch) for together in (True, False)]


def assert_close(one, other, places=1e-6):
    assert list(one) == list(other)
    for key, value in other.items():
        assert float(one[key]) == pytest.approx(float(value), rel=places, abs=places, nan_ok=True), key


def assert_close_tensors(left, right, places):
    for key, value in right.items():
        if isinstance(value, torch.Tensor):
            assert torch.allclose(left[key], value, rtol=0, atol=places, equal_nan=True), key


def assert_same_state(one, other, places=1e-6):
    """Compare what two jobs would save: keys, their order, and numbers."""
    states = [job.state() for job in (one, other)]
    for part in ("model", "weighting"):
        left, right = (state[part] for state in states)
        assert list(left) == list(right)
        assert_close_tensors(left, right, places)
    left, right = (state["optimizer"] for state in states)
    assert left["param_groups"] == right["param_groups"]
    assert left["state"].keys() == right["state"].keys()
    for number, kept in right["state"].items():
        assert_close_tensors(left["state"][number], kept, places)
    if states[1]["ema"]:
        left, right = (state["ema"]["averages"] for state in states)
        assert list(left) == list(right)
        assert_close_tensors(left, right, places)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name.startswith(SLOW) else ()) for name in SETTINGS]
)
def test_losses_gradients_metrics_and_states_are_those_of_tasks_one_by_one(name, in_folder, monkeypatch):
    stacked, apart = both(monkeypatch, **dict(SETTINGS[name]))
    untrained = 1 if "one of 0" in name else 0
    assert [len(stack.tasks) for stack in stacked.learner.model.stacks] == [NUMBERS - untrained, ANSWERS]
    assert not apart.learner.model.stacks
    assert_same_state(stacked, apart, places=0)
    one, other = (take_steps(job, 3) for job in (stacked, apart))
    weights = 1e-6 if "famo" not in name else 1e-4  # its Adam divides small numbers by small ones
    assert_close(one.weights, other.weights, places=weights)
    assert float(one.norm) == pytest.approx(float(other.norm), rel=1e-5)
    assert_same_state(stacked, apart, places=weights)
    assert set(stacked.window.means()) == set(apart.window.means())
    assert_close(flat(evaluate_validation(stacked)), flat(evaluate_validation(apart)), places=2e-6)
    assert_close(flat(stacked.baseline), flat(apart.baseline))


def test_means_of_the_window_are_those_of_tasks_one_by_one(in_folder, monkeypatch):
    means = []
    for job in both(monkeypatch):
        take_steps(job, 4)
        means.append(job.window.means())
    assert means[0].keys() == means[1].keys()
    assert_close({task: means[0][task] for task in means[1]}, means[1])


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_task_without_a_label_in_a_step_does_not_move(optimizer, in_folder, monkeypatch):
    """With SGD all is as with tasks one by one; Adam counts the steps of a stack together, so its rows may differ."""
    _stacks.write_data(in_folder, missing=0.85)
    overrides = [f"optimizer={optimizer}", "data.batch_size=4"]
    stacked, apart = both(monkeypatch, overrides=overrides)
    seen = 0
    for number in range(12):
        before = stacked.learner.model.state_dict()
        before = {key: value.clone() for key, value in before.items()}
        step = next_step(stacked)
        train_step(stacked, step)
        take_steps(apart, 1)
        absent = set(stacked.learner.names) - set(step.tasks)
        seen += len(absent)
        after = stacked.learner.model.state_dict()
        for key in after:
            if key.startswith("heads."):
                assert torch.equal(after[key], before[key]) == (key.split(".")[1] in absent), (number, key)
        stacked.progress.step += 1
        if optimizer == "sgd":
            assert_close_tensors(stacked.learner.model.state_dict(), apart.learner.model.state_dict(), 1e-6)
    assert seen > 20


def test_what_adam_keeps_of_a_task_without_a_label_stays(in_folder, monkeypatch):
    _stacks.write_data(in_folder, missing=0.85)
    stacked, _ = both(monkeypatch, overrides=["data.batch_size=4"])
    take_steps(stacked, 3)
    names = [part.name for part in stacked.learner.model.parts()]
    for _ in range(6):
        kept_now = stacked.state()["optimizer"]["state"]
        before = {number: kept["exp_avg_sq"].clone() for number, kept in kept_now.items()}
        step = next_step(stacked)
        train_step(stacked, step)
        stacked.progress.step += 1
        for number, kept in stacked.state()["optimizer"]["state"].items():
            if names[number].startswith("heads."):
                stays = names[number].split(".")[1] not in step.tasks
                assert torch.equal(kept["exp_avg_sq"], before[number]) == stays, names[number]


def test_a_run_goes_on_from_a_checkpoint_of_the_other_kind(in_folder, monkeypatch):
    overrides = ["weighting=uncertainty", "ema.decay=0.9"]
    stacked, apart = both(monkeypatch, overrides=overrides)
    again = both(monkeypatch, overrides=overrides)
    for job in (stacked, apart):
        take_steps(job, 3)
    again[0].load(apart.state())
    again[1].load(stacked.state())
    for job in (stacked, apart, *again):
        take_steps(job, 3)
    for job in (stacked, *again):
        assert_same_state(job, apart)


def test_a_resumed_run_equals_an_undisturbed_one_bit_for_bit(in_folder, monkeypatch):
    whole, _ = both(monkeypatch)
    part, _ = both(monkeypatch)
    again, _ = both(monkeypatch)
    take_steps(whole, 6)
    take_steps(part, 3)
    again.load(part.state())
    take_steps(again, 3)
    assert_same_state(again, whole, places=0)


BROKEN = {
    "no row": lambda state: state["model"].pop("heads.n3.layers.0.weight"),
    "a row of another shape": lambda state: state["model"].update({"heads.n3.layers.0.bias": torch.zeros(2)}),
    "a moment of another shape": lambda state: state["optimizer"]["state"][5].update(exp_avg=torch.zeros(0)),
    "a parameter too many": lambda state: state["optimizer"]["state"].update({999: {}}),
    "a state that is none": lambda state: state["optimizer"]["state"].update({5: 3}),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_state_that_does_not_fit_is_refused(name, in_folder, monkeypatch):
    stacked, _ = both(monkeypatch)
    take_steps(stacked, 1)
    state = stacked.state()
    BROKEN[name](state)
    with pytest.raises((RuntimeError, ValueError), match=r"heads\.n3|exp_avg|999|parameter 5"):
        stacked.load(state)


def test_tasks_stay_apart_where_stacking_would_change_what_is_computed(in_folder, monkeypatch):
    for settings in (
        {"overrides": ["weighting=bayes_agg", "weighting.num_samples=2"]},  # uses the last layers of single tasks
        {"overrides": ["sharing=mmoe"]},  # tasks read different features
    ):
        assert not both(monkeypatch, **settings)[0].learner.model.stacks
    few = {f"n{k}": {"head": {"hidden": [3]}} for k in range(2)}
    own = both(monkeypatch, own=few)[0].learner.model.stacks
    assert [stack.tasks[:2] for stack in own] == [("n0", "n1"), ("n2", "n3"), ("a0", "a1")]


def test_several_processes_stack_nothing_beside_batch_norms_and_divided_models(in_folder):
    for overrides, norm, expected in (
        (["trainer.devices=2"], False, True),
        (["trainer.devices=2"], True, False),
        (["trainer.devices=2", "trainer.strategy=fsdp"], False, False),
        ([], True, True),
    ):
        config = checked(config_of([*SMALL, *overrides]))
        sharing = torch.nn.Sequential(*[torch.nn.BatchNorm1d(2)] * norm)
        assert stacking.stacks_fit(bind_all(config, Trust()), config, sharing) == expected


def test_few_tasks_stay_apart(in_folder):
    config = config_of(SMALL)
    del config["tasks"]["answers"]
    for fewer, expected in ((0, [NUMBERS]), (NUMBERS - stacking.FEWEST, [stacking.FEWEST]), (1, [])):
        for _ in range(fewer):
            config["tasks"]["numbers"]["targets"].popitem()
        stacks = build(checked(config), Trust()).job.learner.model.stacks
        assert [len(stack.tasks) for stack in stacks] == expected


def test_costs_and_shared_parameters_are_those_of_tasks_one_by_one(in_folder, monkeypatch):
    found = []
    config = config_of(SMALL, head=[3])
    for fewest in (2, 10**9):
        monkeypatch.setattr(stacking, "FEWEST", fewest)
        built = build(checked(config), Trust())
        found.append((built.costs.record(), [p.shape for p in built.job.learner.partition.shared]))
    assert found[0] == found[1]
