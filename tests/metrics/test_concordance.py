import itertools
import math

import pytest
import torch

from mtl_cli.metrics.concordance import Concordance, count_below


def measured(risk, time, event):
    metric = Concordance()
    metric.update(risk, torch.stack([time.float(), event.float()], dim=1))
    return float(metric.compute())


def by_pairs(risk, time, event):
    """Go through all pairs, as Harrell's definition reads."""
    rows = list(zip(risk.tolist(), time.tolist(), event.tolist(), strict=True))
    score = comparable = 0.0
    for (r1, t1, e1), (r2, t2, e2) in itertools.permutations(rows, 2):
        if e1 and (t1 < t2 or (t1 == t2 and not e2)):
            comparable += 1
            score += 1.0 if r1 > r2 else 0.5 if r1 == r2 else 0.0
    return score / comparable


def test_by_hand():
    """Events at 1 and 3, censored at 2 and 4. Comparable: (1,2), (1,3), (1,4), (3,4); ordered: all but (1,3): 3/4."""
    risk = torch.tensor([0.5, 0.1, 0.9, 0.2])
    assert measured(risk, torch.tensor([1, 2, 3, 4]), torch.tensor([1, 0, 1, 0])) == 0.75


@pytest.mark.parametrize("levels", [3, 1000])
def test_it_equals_the_sum_over_all_pairs_with_ties_in_time_and_risk(levels):
    for size in (2, 7, 64, 101):
        risk = torch.randint(levels, (size,)).float()
        time, event = torch.randint(max(2, levels // 20), (size,)), torch.rand(size) < 0.6
        event[time.argmin()], time[0] = True, 5000
        assert measured(risk, time, event) == pytest.approx(by_pairs(risk, time, event), abs=1e-12)


def test_perfect_reversed_and_constant_risks():
    time, event = torch.arange(50), torch.ones(50)
    assert measured(-time.float(), time, event) == 1.0
    assert measured(time.float(), time, event) == 0.0
    assert measured(torch.zeros(50), time, event) == 0.5


def test_it_is_not_defined_without_an_event_or_for_a_risk_that_is_no_number():
    assert math.isnan(measured(torch.rand(4), torch.arange(4), torch.zeros(4)))
    assert math.isnan(measured(torch.full((4,), torch.nan), torch.arange(4), torch.ones(4)))


def test_a_hundred_thousand_rows_take_no_quadratic_memory():
    size = 100_000  # all pairs would take 10 GB as bytes
    time = torch.rand(size)
    assert measured(-time, time, torch.rand(size) < 0.5) == pytest.approx(1.0, abs=1e-6)  # some times are equal


def test_smaller_numbers_that_come_later_are_counted():
    ranks = torch.tensor([3, 1, 2, 0, 2])
    assert count_below(ranks).tolist() == [4, 1, 1, 0, 0]
