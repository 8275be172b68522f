import math

import pytest
import torch

from mtl_cli.metrics.weighted_mean import WeightedMean


def test_values_count_by_their_weights():
    """(3·1 + 1·5)/4 = 2; a batch without weight changes nothing."""
    metric = WeightedMean()
    for value, weight in ((1.0, 3), (7.0, 0), (5.0, 1)):
        metric.update(torch.tensor(value), weight)
    assert float(metric.compute()) == 2.0
    assert int(metric.weight) == 4


def test_a_loss_that_is_not_a_number_is_seen_and_nothing_at_all_has_no_mean():
    metric = WeightedMean()
    assert math.isnan(float(metric.total / metric.weight))
    metric.update(torch.tensor(torch.nan), 2)
    metric.update(torch.tensor(1.0), 2)
    assert math.isnan(float(metric.compute()))


def test_many_small_values_do_not_vanish_beside_a_large_one():
    metric = WeightedMean()
    for value in (1e8, *[1.0] * 1000):
        metric.update(torch.tensor(value), 1)
    assert float(metric.compute()) == pytest.approx((1e8 + 1000) / 1001, rel=1e-14)
