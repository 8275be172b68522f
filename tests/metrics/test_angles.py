import numpy as np
import pytest
import torch
from torch.nn import functional as F

from mtl_cli.metrics.angles import AngleMean, AngleMedian, AngleWithin, degrees_between


def value(metric, found, true):
    for part in (slice(0, 1), slice(1, None)):
        metric.update(found[part], true[part])
    return metric.compute().item()


def turned(degrees):
    """Return the z axis and vectors [1, 3, 1, N] that are turned away from it by these angles."""
    angle = torch.deg2rad(torch.tensor(degrees, dtype=torch.float64)).float()
    found = torch.stack([angle.sin(), torch.zeros_like(angle), angle.cos()]).reshape(1, 3, 1, -1)
    return torch.tensor([0.0, 0.0, 1.0]).reshape(1, 3, 1, 1).expand_as(found), found


def test_angles_are_exact_from_tiny_ones_to_the_opposite():
    degrees = [0.0, 0.001, 1.0, 90.0, 179.999, 180.0]
    torch.testing.assert_close(degrees_between(*turned(degrees)).flatten(), torch.tensor(degrees), rtol=1e-4, atol=1e-5)


def test_statistics_are_those_of_numpy_over_the_known_pixels():
    true, found = (F.normalize(torch.randn(4, 3, 9, 9) + torch.tensor([0, 0, 3.0])[:, None, None]) for _ in range(2))
    true[1, :, 2] = torch.nan
    cosine = (true.double() * found.double()).sum(dim=1).numpy()
    degrees = np.degrees(np.arccos(cosine.clip(-1, 1)))
    degrees = degrees[~np.isnan(degrees)]
    assert len(degrees) == 4 * 81 - 9
    assert value(AngleMean(), found, true) == pytest.approx(degrees.mean(), rel=1e-5)
    assert value(AngleMedian(), found, true) == pytest.approx(np.sort(degrees)[(len(degrees) - 1) // 2], abs=0.0051)
    for bound in (11.25, 22.5, 30.0):
        assert value(AngleWithin(bound), found, true) == pytest.approx((degrees < bound).mean())


def test_a_direction_that_is_not_a_number_is_no_good_direction():
    true, found = turned([0.0, 0.0, 0.0])
    broken = torch.full_like(found, torch.nan)
    assert value(AngleMedian(), broken, true) > 179
    assert value(AngleWithin(30.0), broken, true) == 0.0
