import math

import pytest

from mtl_cli.answers.inference import (
    SEEDS,
    Repeats,
    Unit,
    by_repeat,
    estimate,
    grain_of,
    holm,
    more_seeds,
    repeats_of,
)


def test_an_interval_by_hand():
    found = estimate([1.0, 2.0, 3.0], SEEDS)
    assert (found.mean, found.deviation, found.n) == (2, 1, 3)
    half = 4.302652729911275 / math.sqrt(3)  # Student's quantile for 2 degrees of freedom
    assert found.interval() == pytest.approx((2 - half, 2 + half))


def test_one_value_has_no_interval_and_none_is_no_number():
    assert all(map(math.isnan, estimate([1.0], SEEDS).interval()))
    assert estimate([1.0], SEEDS).p_value == 1
    assert math.isnan(estimate([], SEEDS).mean)


def test_folds_count_that_training_rows_overlap():
    """Nadeau and Bengio: the variance of a mean over k folds is (1/k + test/train) times that of the folds."""
    units = [Unit(seed, fold) for seed in (0, 1) for fold in range(5)]
    repeats = repeats_of(units, 5)
    assert repeats == Repeats("folds", 1 / 4)
    values = {unit: unit.fold + (-1) ** unit.seed for unit in units}
    assert by_repeat(values, repeats) == [0, 1, 2, 3, 4]  # seeds of a fold are averaged first
    found = estimate(by_repeat(values, repeats), repeats)
    assert found.error == pytest.approx(math.sqrt(2.5 * (1 / 5 + 1 / 4)))
    assert repeats_of([Unit(0, 1), Unit(1, 1)], 5) == SEEDS


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005], [1] * 4) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    # 0.02 has half of all weight: 0.02 / 0.5 = 0.04; the others then share the rest: 0.03 · 0.5 / 0.25
    assert holm([0.02, 0.03, 0.5], [0.5, 0.25, 0.25]) == pytest.approx([0.04, 0.06, 0.5])
    assert holm([], []) == []


def test_equal_values_of_a_coarse_metric_are_not_certainty():
    """Three differences of one row each: without the rounding they would have p = 0."""
    grain = grain_of([0.90, 0.91, 0.91, 0.90, 0.95])
    assert grain == pytest.approx(0.01)
    assert estimate([0.01] * 3, SEEDS).p_value == 0
    assert estimate([0.01] * 3, SEEDS, math.sqrt(2) * grain).p_value > 0.05
    assert grain_of([0.5, 0.5]) == 0


def test_as_many_more_seeds_as_narrow_the_interval():
    found = estimate([0.0, 1.0, 2.0], SEEDS)
    more = more_seeds(found, SEEDS, 0.95, 0.5)

    def half(n):
        from scipy.stats import t

        return t.ppf(0.975, n - 1) / math.sqrt(n)

    assert half(3 + more) <= 0.5 < half(3 + more - 1)
    assert more_seeds(found, SEEDS, 0.95, 1e-6) is None
    assert more_seeds(found, SEEDS, 0.95, 0.0) is None
