"""Several processes take the steps of one with as many micro-batches: the same bits, where nothing else is said."""

import pytest
import torch

from mtl_cli.config.shipped import conf_dir
from mtl_cli.ranks.ranks import ALONE, packed, unpacked
from tests import _toy
from tests.ranks import _cases
from tests.ranks._pool import differences
from tests.weightings._inputs import LAST_LAYER_METHODS, METHODS, load_class


def assert_same(two, relative=0.0, **case):
    wanted = _cases.steps(ALONE, **case)
    assert differences(two.run("steps", **case), wanted, relative) == []
    return wanted


TWO_DATASETS = {"quadrant": _toy.task("quadrant", missing=0.3), "sign": _toy.task("sign", seed=2)}
RARE = {"missing": 0.9, "batch_size": 2, "seed": 3}
ONE_RARE = {name: _toy.task(name, **RARE) for name in ("quadrant", "sign")}
MISSING = {"quadrant": _toy.task("quadrant", **RARE), "sign": _toy.task("sign", **{**RARE, "seed": 4})}
"""Batches of two rows, of which most have no label of the first task."""
SGD = {"_target_": "torch.optim.SGD", "lr": 0.05, "momentum": 0.9}
NO_SHARED = ("independent", "soft")
"""Modes in which no parameter is shared, so that weightings of gradients are refused."""
MODES = sorted(path.stem for path in (conf_dir() / "sharing").glob("*.yaml"))


@pytest.mark.parametrize(
    ("method", "sharing"),
    [("fixed", "hard"), ("uncertainty", "mmoe"), ("upgrad", "cross_stitch"), ("graddrop", "hard"), ("famo", "mmoe")],
)
def test_two_ranks_equal_two_micro_batches(two, method, sharing):
    assert_same(two, method=method, sharing=sharing, tasks=TWO_DATASETS)


CASES = {
    "round robin": {"schedule": _toy.option("schedule", "round_robin"), "tasks": TWO_DATASETS},
    "temperature": {"schedule": _toy.option("schedule", "temperature"), "tasks": TWO_DATASETS},
    "labels are rare": {"tasks": MISSING, "number": 5},
    "labels are rare, upgrad": {"tasks": MISSING, "number": 5, "method": "upgrad", "sharing": "mmoe"},
    "labels are rare, famo": {"tasks": MISSING, "number": 5, "method": "famo"},
    "workers": {"data__workers": 1, "number": 4},
    "update_every": {"method": "upgrad", "overrides": {"update_every": 2}, "number": 4},
    "match_norm": {"method": "pcgrad", "overrides": {"match_norm": "sum"}},
    "skip": {"trainer__on_nonfinite": "skip", "tasks": {"quadrant": _toy.task("quadrant", poison=3)}, "number": 4},
    "penalties": {"sharing": "dselect_k", "method": "mgda"},
    "momentum": {"optimizer": {**SGD, "fused": True}, "tasks": MISSING, "number": 5},
}


@pytest.mark.parametrize("case", CASES)
def test_two_ranks_equal_two_micro_batches_in_every_setting(two, case):
    assert_same(two, **CASES[case])


@pytest.mark.parametrize("method", ["upgrad", "mgda"])
def test_at_the_features_two_ranks_equal_two_micro_batches_but_for_rounding(two, method):
    assert_same(two, 1e-5, method=method, overrides={"level": "features"}, optimizer=SGD)
    assert_same(two, 1e-5, method=method, overrides={"level": "features"}, optimizer=SGD, tasks=ONE_RARE)


def test_a_rank_with_several_micro_batches_equals_their_number_but_for_rounding(two):
    for method in ("fixed", "uncertainty", "upgrad"):
        assert_same(two, 1e-5, method=method, micro=4, optimizer=SGD, tasks=TWO_DATASETS)
    assert_same(two, 1e-5, method="upgrad", overrides={"level": "features"}, micro=4, optimizer=SGD)


def test_other_labels_on_one_rank_are_noticed(two):
    """What compares the runs of the other tests sees a difference where there is one."""
    wanted = _cases.steps(ALONE)
    assert differences(two.run("steps", seed=1), wanted)
    assert differences(two.run("steps", micro=4), wanted)


@pytest.mark.parametrize("batch_size", [5, 16])
def test_an_evaluation_on_two_ranks_has_the_same_digits_and_counts_no_row_twice(two, batch_size):
    tasks = {"quadrant": _toy.task("quadrant", batch_size=batch_size), "sign": _toy.task("sign", batch_size=batch_size)}
    found, wanted = two.run("evaluation", tasks=tasks), _cases.evaluation(ALONE, tasks=tasks)
    assert found["/results/quadrant/count"] == 24
    assert differences(found, wanted) == []


SENT = {
    "fixed": ({}, lambda p, s, t: p + 2 * t),
    "upgrad": ({}, lambda p, s, t: t * s + (p - s) + 2 * t),
    "mgda": ({"level": "features"}, lambda p, s, t: p + t * t + 2 * t),
}
"""The floats that a step sends, of P parameters, S shared ones and T tasks, as the README has them."""


@pytest.mark.parametrize("method", SENT)
def test_a_step_sends_what_is_documented(two, method):
    overrides, floats = SENT[method]
    found = two.run("sent", method=method, overrides=overrides)
    rest = found["bytes"] - 4 * floats(found["total"], found["shared"], found["tasks"])
    assert 0 <= rest < 8 * 100  # whole numbers: a mark per parameter
    assert found["messages"] <= 8


@pytest.mark.slow
@pytest.mark.parametrize("sharing", ["hard", "mmoe"])
@pytest.mark.parametrize("method", METHODS)
def test_every_weighting_on_two_ranks(two, method, sharing):
    if method in LAST_LAYER_METHODS and sharing != "hard":
        pytest.skip("refused: it reads last layers on common features")
    changes = {"optimizer": SGD} if load_class(method).num_draws > 1 else {}
    relative = 1e-4 if changes else 0.0
    assert_same(two, relative, method=method, sharing=sharing, **changes)
    if method in LAST_LAYER_METHODS:  # one backward from the features of each dataset
        relative, changes = 1e-5, {"optimizer": SGD}
    assert_same(two, relative, method=method, sharing=sharing, tasks=TWO_DATASETS, **changes)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fixed", "upgrad"])
@pytest.mark.parametrize("sharing", MODES)
def test_every_sharing_mode_on_two_ranks(two, sharing, method):
    if sharing in NO_SHARED and method != "fixed":
        pytest.skip("refused: nothing is shared")
    assert_same(two, method=method, sharing=sharing, backbone__channels=[4, 4])


def test_what_is_sent_is_data_and_never_code():
    value = {"a": [1, 2.5, None, "text"], "b": torch.arange(3), "c": (True,)}
    found = unpacked(packed(value))
    assert found["a"] == value["a"]
    assert torch.equal(found["b"], value["b"])
    with pytest.raises(Exception, match="Weights only"):
        unpacked(packed(test_what_is_sent_is_data_and_never_code))
