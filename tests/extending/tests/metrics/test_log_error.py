import pytest
import torch
from mtl_cli.metrics.log_error import LogError
from sklearn.metrics import mean_absolute_error


def test_it_is_the_mean_absolute_error_of_the_logarithms():
    predictions, target = torch.rand(20) * 9, torch.rand(20) * 9
    metric = LogError()
    for part, truth in zip(predictions.split(7), target.split(7), strict=True):
        metric.update(part, truth)
    assert float(metric.compute()) == pytest.approx(mean_absolute_error(target.log1p(), predictions.log1p()), rel=1e-5)
