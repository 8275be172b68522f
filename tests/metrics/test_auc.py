import pytest
import torch
from sklearn.metrics import roc_auc_score

from mtl_cli.metrics.auc import AUC


def measured(predictions, target):
    metric = AUC()
    for part, truth in zip(predictions.split(7), target.split(7), strict=True):
        metric.update(part, truth)
    return float(metric.compute())


def test_by_hand():
    """Of 2 · 2 pairs (positive, negative) the positive is higher in 3: 3/4; a tie counts one half."""
    assert measured(torch.tensor([0.1, 0.4, 0.35, 0.8]), torch.tensor([0, 0, 1, 1])) == 0.75
    assert measured(torch.tensor([0.2, 0.2]), torch.tensor([0, 1])) == 0.5


def test_it_equals_scikit_learn_with_ties():
    target = torch.randint(2, (100,))
    predictions = (torch.rand(100) * 10).round() / 10
    assert measured(predictions, target) == pytest.approx(roc_auc_score(target, predictions), abs=1e-6)


def test_targets_of_ranking_have_the_relevance_first():
    target = torch.tensor([[0.0, 7.0], [1.0, 7.0], [0.0, 8.0]])
    assert measured(torch.tensor([0.1, 0.9, 0.2]), target) == 1.0


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_alone_has_none_and_no_warning(label):
    assert torch.isnan(torch.tensor(measured(torch.rand(5), torch.full((5,), label))))
