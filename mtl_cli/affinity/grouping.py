"""Groups of tasks that help each other most, found from the affinities of all pairs."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

MOST_EXACT = 12
"""Number of tasks up to which every partition is looked at."""
Affinity = Sequence[Sequence[float]]
"""affinity[i][j] of task i onto task j."""
Group = tuple[int, ...]


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
    valued = cache(lambda group: worth(group, affinity))
    groups: list[Group] = [(task,) for task in range(len(affinity))]
    by_number = {len(groups): list(groups)}
    while len(groups) > 1:
        pairs = [(a, b) for a in range(len(groups)) for b in range(a + 1, len(groups))]
        a, b = max(pairs, key=lambda pair: _gain(groups[pair[0]], groups[pair[1]], valued))
        joined = tuple(sorted(groups[a] + groups[b]))
        groups = [group for index, group in enumerate(groups) if index not in (a, b)] + [joined]
        by_number[len(groups)] = list(groups)
    found: Found = []
    for number in range(1, most + 1):
        moved = improved(by_number[number], valued)
        score = sum(map(valued, moved))
        if found and found[-1][1] >= score:
            moved, score = list(found[-1][0]), found[-1][1]
        found.append((tuple(moved), score))
    return found


def _gain(one: Group, other: Group, valued: Callable[[Group], float]) -> float:
    return valued(tuple(sorted(one + other))) - valued(one) - valued(other)


def improved(groups: Sequence[Group], valued: Callable[[Group], float]) -> list[Group]:
    """Return groups in which no move of one task to another group raises the score."""
    now = list(groups)
    while True:
        best, change = 1e-12, None
        for source, group in enumerate(now):
            for task in group:
                rest = tuple(each for each in group if each != task)
                for target, other in enumerate(now):
                    if target == source:
                        continue
                    more = tuple(sorted((*other, task)))
                    gain = valued(rest) + valued(more) - valued(group) - valued(other)
                    if gain > best:
                        best, change = gain, (source, rest, target, more)
        if change is None:
            return [group for group in now if group]
        source, rest, target, more = change
        now[source], now[target] = rest, more
