import pytest
import torch
from sklearn.metrics import mean_poisson_deviance

from mtl_cli.metrics.deviance import PoissonDeviance


def test_it_equals_scikit_learn_with_zeros_and_missing_counts():
    rate, count = torch.rand(40) * 5 + 0.1, torch.poisson(torch.full((40,), 1.5))
    count[::7] = torch.nan
    assert bool((count == 0).any())
    metric = PoissonDeviance()
    for part in (slice(0, 9), slice(9, None)):
        metric.update(rate[part], count[part])
    known = ~torch.isnan(count)
    assert metric.compute().item() == pytest.approx(mean_poisson_deviance(count[known], rate[known]))
