import math

import pytest
import torch

from mtl_cli.metrics.pixel_error import PixelError, RelativePixelError


def value(metric, found, true):
    for part in (slice(0, 1), slice(1, None)):
        metric.update(found[part], true[part])
    return metric.compute().item()


def test_hand_case():
    true = torch.tensor([[[2.0, 4.0]], [[torch.nan, 0.0]]])
    found = torch.tensor([[[3.0, 3.0]], [[9.0, 1.0]]])
    assert value(PixelError(), found, true) == 1.0
    assert value(RelativePixelError(), found, true) == pytest.approx((1 / 2 + 1 / 4) / 2)


def test_a_number_that_is_not_one_is_no_label_but_stays_where_it_was_predicted():
    unknown = torch.full((2, 3, 3), torch.nan)
    assert math.isnan(value(PixelError(), torch.zeros(2, 3, 3), unknown))
    assert math.isnan(value(PixelError(), unknown, torch.ones(2, 3, 3)))


def test_sums_of_many_pixels_lose_no_digits():
    metric, true = PixelError(), torch.full((1, 1000, 1000), 1e4)
    for _ in range(3):
        metric.update(true + 0.125, true)
    assert metric.compute().item() == 0.125
