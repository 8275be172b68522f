import itertools
import math

import numpy as np
import pytest

from mtl_cli.affinity.grouping import best_groupings, exact, greedy, worth

NAN = math.nan
HAND = [
    [9.0, 0.4, -0.2, 0.0],
    [0.2, 9.0, -0.1, -0.3],
    [-0.3, 0.1, 9.0, 0.5],
    [0.0, -0.1, 0.3, 9.0],
]
"""Affinity of each row's task onto each column's; the diagonal does not count."""


def partitions(tasks):
    """Every partition, by where the first task goes."""
    if not tasks:
        yield []
        return
    first, *rest = tasks
    for size in range(len(rest) + 1):
        for mates in itertools.combinations(rest, size):
            left = [task for task in rest if task not in mates]
            for others in partitions(left):
                yield [(first, *mates), *others]


def planted(size, groups, noise, seed):
    """Affinities that are 1 within a group and −1 between groups, with noise; and the group of each task."""
    stream = np.random.RandomState(seed)
    of_task = np.arange(size) % groups
    stream.shuffle(of_task)
    same = of_task[:, None] == of_task[None, :]
    return (np.where(same, 1.0, -1.0) + noise * stream.randn(size, size)).tolist(), of_task


def test_the_worth_of_a_group_by_hand():
    assert worth((0, 1), HAND) == pytest.approx(0.2 + 0.4)
    assert worth((2,), HAND) == 0.0
    # onto 0: (0.2 − 0.3) / 2, onto 1: (0.4 + 0.1) / 2, onto 2: (−0.2 − 0.1) / 2
    assert worth((0, 1, 2), HAND) == pytest.approx(-0.05 + 0.25 - 0.15)
    assert worth((0, 1), [[0.0, NAN], [0.5, 0.0]]) == pytest.approx(0.5)


def test_the_best_groups_by_hand():
    one, two, three, four = best_groupings(HAND, 4)
    assert one.groups == ((0, 1, 2, 3),)
    assert two.groups == three.groups == four.groups == ((0, 1), (2, 3))
    assert two.score == pytest.approx(0.6 + 0.8)
    assert two.exact


@pytest.mark.parametrize("seed", range(4))
def test_no_partition_is_better_than_the_one_that_is_found(seed):
    affinity = np.random.RandomState(seed).randn(6, 6).tolist()
    every = [(sum(worth(group, affinity) for group in each), len(each)) for each in partitions(list(range(6)))]
    assert len(every) == 203  # Bell's number
    for number, found in enumerate(best_groupings(affinity, 6), start=1):
        assert found.score == pytest.approx(max(score for score, groups in every if groups <= number))
        assert len(found.groups) <= number
        assert sorted(sum(found.groups, ())) == list(range(6))
        assert found.score == pytest.approx(sum(worth(group, affinity) for group in found.groups))


@pytest.mark.parametrize("seed", range(3))
def test_the_heuristic_finds_planted_groups_of_many_tasks(seed):
    affinity, of_task = planted(15, 3, 0.5, seed)
    found = best_groupings(affinity, 3)[-1]
    assert not found.exact
    assert {frozenset(group) for group in found.groups} == {
        frozenset(np.flatnonzero(of_task == group).tolist()) for group in range(3)
    }


@pytest.mark.parametrize("seed", range(3))
def test_the_heuristic_is_near_the_exact_search(seed):
    affinity = np.random.RandomState(seed).randn(7, 7).tolist()
    for (_, best), (groups, score) in zip(exact(affinity, 7), greedy(affinity, 7), strict=True):
        assert score <= best + 1e-9
        assert score == pytest.approx(sum(worth(group, affinity) for group in groups))
    assert greedy(affinity, 7)[-1][1] > 0.7 * best


def test_twelve_tasks_are_searched_exactly():
    affinity, of_task = planted(12, 4, 0.5, 0)
    found = best_groupings(affinity, 4)[-1]
    assert found.exact
    assert {frozenset(group) for group in found.groups} == {
        frozenset(np.flatnonzero(of_task == group).tolist()) for group in range(4)
    }


def test_many_tasks_are_grouped_at_once():
    affinity, of_task = planted(150, 5, 0.5, 0)
    found = best_groupings(affinity, 5)[-1]
    assert {frozenset(group) for group in found.groups} == {
        frozenset(np.flatnonzero(of_task == group).tolist()) for group in range(5)
    }
    assert found.score == pytest.approx(sum(worth(group, affinity) for group in found.groups))
