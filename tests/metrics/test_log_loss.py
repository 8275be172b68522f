import math

import pytest
import torch
from sklearn.metrics import log_loss

from mtl_cli.metrics.log_loss import LogLoss


def measured(predictions, target):
    metric = LogLoss()
    metric.update(predictions, target)
    return float(metric.compute())


def test_by_hand():
    """−(log 0.8 + log 0.5 + log 0.9)/3."""
    expected = -(math.log(0.8) + math.log(0.5) + math.log(0.9)) / 3
    assert measured(torch.tensor([0.8, 0.5, 0.1]), torch.tensor([1, 1, 0])) == pytest.approx(expected, rel=1e-6)


def test_it_equals_scikit_learn_also_for_certain_predictions():
    target = torch.tensor([0, 1, 1, 0, 1])
    for predictions in (torch.rand(5), torch.tensor([0.0, 1.0, 0.0, 0.5, 1.0])):
        assert measured(predictions, target) == pytest.approx(log_loss(target.numpy(), predictions.numpy()), rel=1e-4)


def test_one_class_alone_is_fine():
    assert measured(torch.tensor([0.5, 0.5]), torch.tensor([[1.0, 3.0], [1.0, 4.0]])) == pytest.approx(math.log(2))
