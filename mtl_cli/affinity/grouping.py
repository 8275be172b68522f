"""Groups of tasks that help each other most, found from the affinities of all pairs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

MOST_EXACT = 12
"""Number of tasks up to which every partition is looked at."""
Affinity = Sequence[Sequence[float]]
"""affinity[i][j] of task i onto task j."""
Group = tuple[int, ...]
Matrix = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Grouping:
    """A partition of the tasks into groups, and what it is worth."""

    groups: tuple[Group, ...]
    score: float
    exact: bool
    """Whether no other partition into as many groups or fewer has a higher score."""


def worth(group: Group, affinity: Affinity) -> float:
    """Return the sum, over the tasks of a group, of the mean affinity of the others onto it; 0 for a single task.

    Source: Fifty et al., NeurIPS 2021, section 4.2. A pair that was not measured (NaN) counts as 0.
    """
    if len(group) < 2:
        return 0.0
    total = 0.0
    for onto in group:
        values = [affinity[task][onto] for task in group if task != onto]
        total += sum(0.0 if math.isnan(value) else value for value in values) / len(values)
    return total


def best_groupings(affinity: Affinity, most: int) -> list[Grouping]:
    """Return the best partition into at most k groups, for each k from 1 to `most`.

    Differs from Fifty et al. in that each task is in one group, so that each parameter is trained by one group: theirs
    may train a task in several groups and use it in one.

    Up to `MOST_EXACT` tasks this is exact. Beyond, groups of one task are merged two at a time, and single tasks are
    moved from group to group as long as that raises the score.
    """
    size = len(affinity)
    assert 1 <= most <= size
    search = exact if size <= MOST_EXACT else greedy
    found = search(affinity, most)
    return [Grouping(*ordered(groups, score), exact=size <= MOST_EXACT) for groups, score in found]


def ordered(groups: Sequence[Group], score: float) -> tuple[tuple[Group, ...], float]:
    """Return groups in the order of their first tasks."""
    return tuple(sorted(tuple(sorted(group)) for group in groups)), score


Found = list[tuple[tuple[Group, ...], float]]


def exact(affinity: Affinity, most: int) -> Found:
    """Return the best partitions, by dynamic programming over subsets: 3^T steps for each number of groups."""
    size = len(affinity)
    everything = (1 << size) - 1
    members = [tuple(task for task in range(size) if mask >> task & 1) for mask in range(everything + 1)]
    value = [worth(group, affinity) for group in members]

    @cache
    def best(mask: int, left: int) -> tuple[float, int]:
        """Return the highest score of the tasks in `mask` in `left` groups or fewer, and the lowest task's group."""
        if left == 1:
            return value[mask], mask
        lowest = mask & -mask
        rest = mask ^ lowest
        top, chosen, part = value[mask], mask, rest
        while part:  # the tasks that are not in the group of the lowest one: all subsets of the rest but none
            score = value[mask ^ part] + best(part, left - 1)[0]
            if score > top:
                top, chosen = score, mask ^ part
            part = (part - 1) & rest
        return top, chosen

    found: Found = []
    for left in range(1, most + 1):
        groups, mask, number = [], everything, left
        while mask:
            chosen = best(mask, number)[1]
            groups.append(members[chosen])
            mask, number = mask ^ chosen, number - 1
        found.append((tuple(groups), best(everything, left)[0]))
    return found


def greedy(affinity: Affinity, most: int) -> Found:
    """Return good partitions: merges of two groups down to each number of groups, each improved by moves of tasks."""
    given = np.nan_to_num(np.asarray(affinity, dtype=float))
    both = given + given.T
    np.fill_diagonal(both, 0.0)
    of_task = np.arange(len(both))
    by_number = {len(both): of_task}
    for left in range(len(both) - 1, 0, -1):
        one, other = _best_merge(both, of_task)
        of_task = np.where(of_task == other, one, of_task)
        of_task = np.where(of_task > other, of_task - 1, of_task)
        by_number[left] = of_task
    found: Found = []
    for number in range(1, most + 1):
        moved = improved(both, by_number[number])
        groups = [tuple(np.flatnonzero(moved == name).tolist()) for name in np.unique(moved)]
        score = sum(worth(group, affinity) for group in groups)
        if found and found[-1][1] >= score:
            groups, score = list(found[-1][0]), found[-1][1]
        found.append((tuple(groups), score))
    return found


def _sums(both: Matrix, of_task: Matrix, groups: int) -> tuple[Matrix, Matrix, Matrix]:
    """Return the affinities both ways between each task and each group [T, G], within each group [G], and sizes [G]."""
    members = np.eye(groups)[of_task]  # [T, G]
    to_group = both @ members
    return to_group, (members * to_group).sum(axis=0) / 2, members.sum(axis=0)


def _worths(within: Matrix, sizes: Matrix) -> Matrix:
    """Return what groups are worth: all tasks of one are compared with as many others, so that it is one quotient."""
    return np.where(sizes > 1, within / np.maximum(sizes - 1, 1), 0.0)


def _best_merge(both: Matrix, of_task: Matrix) -> tuple[int, int]:
    """Return the two groups, the lower number first, whose merge gains most."""
    groups = int(of_task.max()) + 1
    to_group, within, sizes = _sums(both, of_task, groups)
    between = np.eye(groups)[of_task].T @ to_group  # [G, G]
    worths = _worths(within, sizes)
    joined = _worths(within[:, None] + within[None, :] + between, sizes[:, None] + sizes[None, :])
    gains = np.where(np.triu(np.ones_like(joined), 1) > 0, joined - worths[:, None] - worths[None, :], -np.inf)
    one, other = np.unravel_index(int(gains.argmax()), gains.shape)
    return int(one), int(other)


def improved(both: Matrix, of_task: Matrix) -> Matrix:
    """Return the group of each task [T], such that no move of one task to another group raises the score."""
    of_task, groups = of_task.copy(), int(of_task.max()) + 1
    tasks = np.arange(len(of_task))
    while True:
        to_group, within, sizes = _sums(both, of_task, groups)
        worths, own = _worths(within, sizes), to_group[tasks, of_task]
        loss = worths[of_task] - _worths(within[of_task] - own, sizes[of_task] - 1)  # [T]
        gain = _worths(within[None, :] + to_group, sizes[None, :] + 1) - worths[None, :] - loss[:, None]  # [T, G]
        gain[tasks, of_task] = -np.inf
        task, group = np.unravel_index(int(gain.argmax()), gain.shape)
        if not gain[task, group] > 1e-12 * (1.0 + np.abs(worths).sum()):
            return of_task
        of_task[task] = group
