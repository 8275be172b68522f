import math

import pytest
import torch
from sklearn.metrics import average_precision_score

from mtl_cli.metrics.mean_average_precision import MeanAveragePrecision


def measured(predictions, target):
    metric = MeanAveragePrecision()
    metric.update(predictions, target)
    return float(metric.compute())


def test_by_hand_with_a_missing_entry():
    """Label 0: positives at ranks 1 and 3 of 4: (1/1 + 2/3) / 2 = 5/6; label 1: at rank 2 of the 3 known: 1/2."""
    predictions = torch.tensor([[0.9, 0.1], [0.8, 0.7], [0.7, 0.5], [0.1, 0.99]])
    target = torch.tensor([[1, 0], [0, 0], [1, 1], [0, -1]])
    assert measured(predictions, target) == pytest.approx((5 / 6 + 1 / 2) / 2)


def test_it_equals_scikit_learn():
    target, predictions = torch.randint(2, (80, 3)), (torch.rand(80, 3) * 20).round() / 20  # with equal scores
    assert measured(predictions, target) == pytest.approx(average_precision_score(target, predictions), abs=1e-6)


def test_labels_without_a_positive_are_left_out_without_a_warning():
    target, predictions = torch.tensor([[1, 0], [0, 0]]), torch.tensor([[0.9, 0.2], [0.1, 0.4]])
    assert measured(predictions, target) == 1.0
    assert math.isnan(measured(predictions, torch.zeros(2, 2, dtype=torch.int64)))


def test_of_several_tasks_each_has_its_value():
    target, predictions = torch.randint(2, (50, 4, 3)).float(), torch.rand(50, 4, 3)
    target[torch.rand(50, 4, 3) < 0.2] = torch.nan
    metric = MeanAveragePrecision()
    metric.update(predictions, target)
    alone = [measured(predictions[:, task], target[:, task]) for task in range(4)]
    assert metric.compute().tolist() == pytest.approx(alone)
