import numpy as np
import pytest
import torch
from scipy.special import expit

from mtl_cli.training.evaluate import Meter
from tests.tasks._inputs import make, targets, with_missing


def test_the_loss_is_the_mean_binary_cross_entropy_of_the_relevance():
    target, outputs = with_missing(targets("ranking")), torch.randn(40, 1) * 2
    y = target.double().numpy()[:, 0]
    p, y = expit(outputs.double().numpy()[~np.isnan(y), 0]), y[~np.isnan(y)]
    expected = np.mean(-y * np.log(p) - (1 - y) * np.log1p(-p))
    assert make("ranking").loss(outputs, target).item() == pytest.approx(expected, rel=1e-5)


def test_the_group_is_no_label():
    target = torch.tensor([[1.0, 3.0], [torch.nan, 3.0], [0.0, 4.0]])
    task = make("ranking")
    assert task.labelled_entries(target) == 2
    assert task.labelled_rows(target).tolist() == [True, False, True]


def test_metrics_by_hand():
    """Group 1 ranks its relevant row second of 2: 1/log₂3; group 2 first: 1. Of 4 pairs 2 are in order."""
    p, target = torch.tensor([0.8, 0.6, 0.7, 0.1]), torch.tensor([[0.0, 1.0], [1.0, 1.0], [1.0, 2.0], [0.0, 2.0]])
    meter = Meter(make("ranking"), torch.device("cpu"))
    meter.update(p.logit()[:, None], target, 4)
    metrics = meter.result().metrics
    assert metrics["ndcg"] == pytest.approx((1 / np.log2(3) + 1) / 2, rel=1e-6)
    assert metrics["auc"] == 0.5
    assert metrics["log_loss"] == pytest.approx(-np.mean(np.log([0.2, 0.6, 0.7, 0.9])), rel=1e-5)


def test_a_k_below_one_is_refused():
    with pytest.raises(ValueError, match="k is 0"):
        make("ranking", k=0)
