"""A model that is divided among processes learns what one learns that each of them holds."""

import pytest
import torch
from torch import nn

from mtl_cli.config.shipped import conf_dir
from mtl_cli.errors import UserError
from mtl_cli.ranks.ranks import ALONE
from mtl_cli.ranks.sharded import undividable
from mtl_cli.runs import evaluation, run, trials
from mtl_cli.storage import checkpoint
from mtl_cli.storage.records import read_records
from tests import _toy
from tests._thinned import thinned
from tests.ranks import _cases
from tests.ranks._pool import differences
from tests.ranks.test_ranks import MISSING, TWO_DATASETS
from tests.weightings._inputs import METHODS, load_class
from tests.weightings._inputs import config as weighting_config

TAKEN = [method for method in METHODS if load_class(method).takes_parts]
MODES = [
    path.stem
    for path in sorted((conf_dir() / "sharing").glob("*.yaml"))
    if path.stem not in ("adapters", "dselect_k", "ltb", "mtlora", "soft")
]
SGD = {"_target_": "torch.optim.SGD", "lr": 0.05, "momentum": 0.9, "fused": False}


def assert_same(two, **case):
    wanted = two.run("steps", **case)
    found = two.run("steps", trainer__strategy="fsdp", **case)
    assert differences(found, wanted, 1e-5) == []


def test_parts_learn_what_the_whole_learns(two):
    assert_same(two, tasks=TWO_DATASETS, method="uncertainty", sharing="mmoe")


@pytest.mark.slow
@pytest.mark.parametrize("sharing", MODES)
def test_every_mode_of_whole_modules(two, sharing):
    assert_same(two, sharing=sharing, backbone__channels=[4, 4], tasks=TWO_DATASETS)


@pytest.mark.slow
@pytest.mark.parametrize("method", TAKEN)
def test_every_weighting_of_losses(two, method):
    assert len(TAKEN) > 15
    assert_same(two, method=method, tasks=MISSING, number=4)
    assert_same(two, method=method, tasks=TWO_DATASETS, micro=4)


CASES = {
    "labels are rare": {"tasks": MISSING, "number": 5, "optimizer": SGD},
    "skip": {"trainer__on_nonfinite": "skip", "tasks": {"quadrant": _toy.task("quadrant", poison=3)}, "number": 4},
    "clipped": {"trainer__clip_norm": 0.01, "optimizer": SGD},
    "synced batch norm": {"backbone__norm": "batch", "tasks": MISSING, "optimizer": SGD, "number": 4},
    "local batch norm": {"backbone__norm": "batch", "trainer__batch_norm": "local", "optimizer": SGD},
    "bf16": {"trainer__precision": "bf16"},
    "frozen": {"freeze": "stages:1"},
    "workers": {"data__workers": 1},
    "round robin": {"schedule": _toy.option("schedule", "round_robin"), "tasks": TWO_DATASETS},
    "skips": _toy.dense(),
}


@pytest.mark.parametrize("case", thinned(CASES, ["labels are rare", "clipped"]))
def test_every_setting(two, case):
    assert_same(two, **CASES[case])


def test_other_rows_are_noticed(two):
    """What compares the runs of the other tests sees a difference where there is one."""
    found = two.run("steps", trainer__strategy="fsdp", seed=1)
    assert differences(found, two.run("steps"), 1e-5)


def test_an_evaluation_has_the_same_digits(two):
    tasks = {name: _toy.task(name, batch_size=5) for name in ("quadrant", "sign")}  # five batches: one rank has more
    found = two.run("evaluation", tasks=tasks, trainer__strategy="fsdp")
    assert differences(found, _cases.evaluation(ALONE, tasks=tasks)) == []


REFUSED = {
    "weighting of gradients": (
        {"weighting": weighting_config("upgrad", "quadrant")},
        "UPGrad needs more than",
    ),
    "one process": ({"trainer__devices": 1}, r"trainer.devices is 1. Use trainer.strategy=ddp, or trainer.devices=2."),
    "weights beside modules": (
        {"sharing": _toy.option("sharing", "adapters")},
        "Adapters computes with weights",
    ),
    "fused SGD": ({"optimizer": {**SGD, "fused": True}}, r"Use optimizer.fused=false."),
    "optimizer of whole weights": (
        {"optimizer": {"_target_": "torch.optim.Adafactor", "lr": 0.01}},
        "Adafactor does not treat every entry",
    ),
    "compiled": ({"trainer__compile": True}, "Use trainer.compile=false."),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_divided_is_refused_with_what_works(case):
    changes, message = REFUSED[case]
    config = _toy.config(trainer__strategy="fsdp", **{"trainer__devices": 2, **changes})
    with pytest.raises(UserError, match=message):
        run.check_with_data(config)


def test_a_dry_run_divides_nothing(tmp_path, caplog):
    with caplog.at_level("WARNING", "mtl_cli"):
        trials.dry_run(_toy.config(trainer__strategy="fsdp", trainer__devices=2), tmp_path / "run")
    assert "Dry run: the first of" in caplog.text


def test_parameters_that_have_no_parts_are_told():
    number = nn.Module()
    number.scale = nn.Parameter(torch.tensor(1.0))
    assert undividable(number, []) == "The parameter scale is a single number, which cannot be divided."
    first, second = nn.Linear(2, 2), nn.Linear(2, 2)
    assert undividable(nn.Sequential(first, second), [first, second]) is None
    second.weight = first.weight
    told = undividable(nn.Sequential(first, second), [first, second])
    assert told == "The parameter weight belongs to two parts of the model, which are divided apart."


@pytest.mark.slow
def test_a_run_in_parts_leaves_an_ordinary_checkpoint_and_goes_on_with_whole_models_and_back(no_pool, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    changes = {"early_stopping__patience": 9, "ema__decay": 0.9, "trainer__clip_norm": 1.0}
    changes["lr_schedule"] = _toy.option("lr_schedule", "constant")  # the cosine would know where the run ends
    run.train(_toy.config(trainer__accumulate=2, trainer__max_epochs=6, **changes), whole, [])
    fsdp = {"trainer__devices": 2, "trainer__strategy": "fsdp"}
    summary = run.train(_toy.config(**fsdp, trainer__max_epochs=2, **changes), parts, [])
    evaluated = evaluation.evaluate_checkpoint(parts, {"trust": ["tests"]}, [])["metrics"]
    assert {name: evaluated[name] for name in summary["test"]} == summary["test"]
    own = {"trust": ["tests"], "trainer.strategy": "ddp", "trainer.devices": 1, "trainer.accumulate": 2}
    run.resume(parts, {**own, "trainer.max_epochs": 4}, [])
    again = {**own, "trainer.strategy": "fsdp", "trainer.devices": 2, "trainer.accumulate": 1}
    run.resume(parts, {**again, "trainer.max_epochs": 6}, [])
    states = [checkpoint.load(checkpoint.find(each, "last")) for each in (parts, whole)]
    found, wanted = (
        dict(_cases.flat({name: state[name] for name in ("model", "ema", "optimizer")})) for state in states
    )
    assert differences(found, wanted, 1e-4) == []
    own, one = ([r for r in read_records(each / "metrics.jsonl") if r["kind"] == "train"] for each in (parts, whole))
    assert [r["step"] for r in own] == [r["step"] for r in one]
    for found, wanted in zip(own, one, strict=True):
        assert found["losses"] == pytest.approx(wanted["losses"], rel=1e-3)
