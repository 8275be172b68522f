import pytest

from mtl_cli.answers.gain import Paired, gain
from mtl_cli.answers.inference import Unit

ZERO, ONE = Unit(0), Unit(1)


def test_delta_m_by_hand():
    """Task a: accuracy 0.8 → 0.84 is +5 %, f1 0.5 → 0.49 is −2 %; task b: an error 2 → 1.8 is +10 %."""
    pairs = [
        Paired("a/accuracy", False, {ZERO: 0.84}, {ZERO: 0.8}),
        Paired("a/f1", False, {ZERO: 0.49}, {ZERO: 0.5}),
        Paired("b/rmse", True, {ZERO: 1.8}, {ZERO: 2.0}),
    ]
    assert gain(pairs).values == {ZERO: pytest.approx(((5 - 2) / 2 + 10) / 2)}


def test_the_mean_over_seeds_is_that_of_the_means():
    own, base = {ZERO: 3.0, ONE: 5.0}, {ZERO: 1.0, ONE: 4.0}
    found = gain([Paired("a/x", False, own, base)])
    assert sum(found.values.values()) / 2 == pytest.approx(100 * (4 - 2.5) / 2.5)


def test_a_baseline_of_0_is_left_out_and_one_below_0_keeps_its_direction():
    zero = Paired("a/x", False, {ZERO: 1.0}, {ZERO: 0.0})
    negative = Paired("b/r2", False, {ZERO: -0.5}, {ZERO: -1.0})
    found = gain([zero, negative])
    assert found.left_out == ("a/x",)
    assert found.values == {ZERO: pytest.approx(50)}
    assert gain([zero]).values == {}


def test_metrics_whose_baseline_lies_around_0_are_named():
    around = Paired("a/f1", False, {ZERO: 0.0, ONE: 0.0}, {ZERO: 0.0, ONE: 0.03})
    steady = Paired("a/auc", False, {ZERO: 0.7, ONE: 0.7}, {ZERO: 0.69, ONE: 0.71})
    found = gain([around, steady])
    assert found.inflated == ("a/f1",)
    assert found.left_out == ()
    assert gain([steady]).inflated == ()


def test_only_seeds_with_all_metrics_count():
    pairs = [
        Paired("a/x", False, {ZERO: 2.0, ONE: 2.0}, {ZERO: 1.0, ONE: 1.0}),
        Paired("b/x", False, {ONE: 1.0}, {ONE: 1.0}),
    ]
    assert gain(pairs).values == {ONE: pytest.approx(50)}
