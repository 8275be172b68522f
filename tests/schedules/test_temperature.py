import math
from collections import Counter

import pytest

from tests.schedules._inputs import schedule

STEPS = 20_000


def shares(made):
    counts = Counter(made.tasks(step) for step in range(STEPS))
    return {tasks: count / STEPS for tasks, count in counts.items()}


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_tasks_are_drawn_by_the_size_of_their_dataset_to_the_power_of_alpha(alpha):
    weights = {("a",): 800**alpha, ("b",): 200**alpha, ("c",): 800**alpha}
    got = shares(schedule("temperature", alpha=alpha))
    for tasks, weight in weights.items():
        p = weight / sum(weights.values())
        assert abs(got[tasks] - p) < 4 * math.sqrt(p * (1 - p) / STEPS)  # 4 standard deviations of the share


def test_datasets_are_drawn_with_all_their_tasks():
    got = shares(schedule("temperature", alpha=1.0, unit="dataset"))
    assert set(got) == {("a", "c"), ("b",)}
    assert abs(got["b",] - 0.2) < 4 * math.sqrt(0.2 * 0.8 / STEPS)


def test_proportional_is_temperature_with_alpha_1():
    first, second = schedule("proportional", seed=5), schedule("temperature", seed=5, alpha=1.0)
    assert [first.tasks(step) for step in range(100)] == [second.tasks(step) for step in range(100)]


def test_another_seed_draws_otherwise():
    first, second = schedule("temperature", seed=1), schedule("temperature", seed=2)
    assert [first.tasks(step) for step in range(100)] != [second.tasks(step) for step in range(100)]


@pytest.mark.parametrize("alpha", [-0.5, math.nan, math.inf])
def test_an_alpha_that_is_no_number_from_0_is_refused(alpha):
    with pytest.raises(ValueError, match=rf"schedule\.alpha is {alpha}; .* Use schedule\.alpha=1"):
        schedule("temperature", alpha=alpha)


def test_an_unknown_unit_is_refused():
    with pytest.raises(ValueError, match=r"schedule\.unit is 'batch'; it is one of task, dataset"):
        schedule("temperature", unit="batch")
