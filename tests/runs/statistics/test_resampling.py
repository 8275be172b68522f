"""Intervals by the bootstrap: against the normal approximation, their coverage, groups that are drawn together."""

import numpy as np
import pytest
import torch

from mtl_cli.batch import FieldSpec
from mtl_cli.metrics.weighted_mean import WeightedMean
from mtl_cli.runs.statistics import resampling
from mtl_cli.runs.statistics.resampling import blocks_of, drawing, interval, mean_of, numbered
from mtl_cli.training.part_rows import Parts


class Source:
    group_column = None


class Rows:
    def __init__(self, size):
        self.size = size

    def __len__(self):
        return self.size


class AnyTask:
    field = FieldSpec("real")


def ends(values, group=None, resamples=1000):
    """Return the interval of a mean over rows, as an evaluation draws them."""
    rows = Rows(len(values))
    if group is None:
        block, number, _, _ = blocks_of("d", Source(), rows, "test", {"t": AnyTask()}, 1)
    else:
        block, number = numbered(group), len(np.unique(group))
    parts = Parts(block, torch.zeros(len(values), dtype=torch.int64), number, 1)
    times = drawing("d", parts, "rows", number, resamples).times.double()
    sums = torch.zeros(number, dtype=torch.float64).index_add_(0, block, torch.from_numpy(values))
    counts = torch.zeros(number, dtype=torch.float64).index_add_(0, block, torch.ones(len(values), dtype=torch.float64))
    return interval(((times @ sums) / (times @ counts)).numpy())


@pytest.mark.parametrize("size", [90, 3000])  # each row a block, and blocks of three rows
def test_the_interval_of_a_mean_is_that_of_the_normal_approximation(size):
    values = np.random.default_rng(1).normal(size=size)
    low, high = ends(values)
    error = values.std() / np.sqrt(size)
    assert (low + high) / 2 == pytest.approx(values.mean(), abs=0.25 * error)
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.12)


def test_intervals_cover_the_truth_as_often_as_they_say_and_rows_that_belong_together_are_drawn_together():
    stream = np.random.default_rng(2)
    hits = {"rows": 0, "groups": 0}
    for _ in range(200):
        group = np.repeat(np.arange(60), 4)
        values = stream.normal(size=60)[group] + 0.3 * stream.normal(size=240)  # four rows say nearly the same
        for what, of in (("rows", np.arange(240)), ("groups", group)):
            low, high = ends(values, of, 200)
            hits[what] += low <= 0 <= high
    assert hits["groups"] / 200 >= 0.90
    assert hits["rows"] / 200 <= 0.80  # the mistake that drawing single rows would be


def test_a_fixed_seed_gives_the_same_interval():
    values = np.random.default_rng(1).normal(size=90)
    assert ends(values) == ends(values)


def test_no_interval_where_no_resample_differs_or_most_have_no_value():
    assert interval(np.ones(100)) is None
    assert interval(np.array([np.nan] * 60 + list(range(40)))) is None
    assert interval(np.array([np.nan] * 40 + list(range(60)))) is not None
    assert interval(np.empty(0)) is None


def test_rows_without_a_group_are_units_of_their_own():
    assert numbered(np.array([7.0, np.nan, 7.0, np.nan, 2.0])).tolist() == [1, 2, 1, 3, 0]


def test_there_are_fewer_blocks_where_many_tasks_and_groups_make_many_parts():
    rows, tasks = Rows(5000), {str(k): AnyTask() for k in range(10)}
    assert blocks_of("d", Source(), rows, "test", tasks, 1)[1] == 1000
    assert blocks_of("d", Source(), rows, "test", tasks, 4)[1] == 500
    assert blocks_of("d", Source(), rows, "test", tasks, 1000)[1] == resampling.MIN_BLOCKS
    block, number, unit, units = blocks_of("d", Source(), rows, "test", tasks, 1000)
    assert (unit, units) == ("rows", 5000)
    assert torch.bincount(block).tolist() == [25] * number


def test_the_replicates_of_a_group_of_tasks_are_their_means():
    found = mean_of([np.array([1.0, np.nan, 3.0]), np.array([3.0, 5.0])])
    assert found.tolist() == [2.0, 5.0]


def test_a_metric_is_computed_without_the_wrapper_that_caches_it():
    metric = WeightedMean()
    metric.total, metric.weight = torch.tensor(6.0), torch.tensor(3)
    assert float(type(metric).compute(metric)) == 2.0
