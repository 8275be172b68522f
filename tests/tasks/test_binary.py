import numpy as np
import pytest
import torch
from scipy.special import expit

from mtl_cli.batch import FieldSpec
from mtl_cli.training.meters import Meter
from tests.tasks._inputs import make, targets, with_missing


def reference(outputs, target, smoothing=0.0, weights=(1.0, 1.0), gamma=0.0):
    """Return the mean loss of the labelled rows, in float64 by its formula."""
    logits, y = outputs.double().numpy()[:, 0], target.numpy()
    logits, y = logits[y >= 0], y[y >= 0]
    p = expit(logits)
    soft = y * (1 - smoothing) + smoothing / 2
    cross_entropy = -soft * np.log(p) - (1 - soft) * np.log1p(-p)
    true = np.where(y == 1, p, 1 - p)
    return float(np.mean(np.take(weights, y) * (1 - true) ** gamma * cross_entropy))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"smoothing": 0.1},
        {"weights": [0.5, 4.0]},
        {"gamma": 2.0},
        {"smoothing": 0.2, "weights": [1.0, 3.0], "gamma": 0.5},
    ],
)
def test_the_loss_is_its_formula(options):
    target, outputs = with_missing(targets("binary")), torch.randn(40, 1) * 3
    names = {"smoothing": "label_smoothing", "weights": "class_weights", "gamma": "focal_gamma"}
    task = make("binary", **{names[key]: value for key, value in options.items()})
    assert task.loss(outputs, target).item() == pytest.approx(reference(outputs, target, **options), rel=1e-5)


def test_balanced_weights_are_those_of_scikit_learn_with_mean_one():
    weights = make("binary", class_weights="balanced").class_weights  # 30 of class 0 and 10 of class 1
    assert weights.tolist() == pytest.approx([40 / (2 * 30), 40 / (2 * 10)])
    assert (30 * weights[0] + 10 * weights[1]).item() == pytest.approx(40)


def test_metrics_by_hand():
    """p = .9 .8 .3 .6, y = 1 0 1 1: 1 of 3 pairs is in order; at one half TP 2, FP 1, FN 1: F1 4/6, accuracy 2/4."""
    task, meter = make("binary"), Meter(make("binary"), torch.device("cpu"))
    p, target = torch.tensor([0.9, 0.8, 0.3, 0.6]), torch.tensor([1, 0, 1, 1])
    meter.update(p.logit()[:, None], target, 4)
    result = meter.result()
    assert result.metrics["auc"] == pytest.approx(1 / 3)
    assert result.metrics["f1"] == pytest.approx(4 / 6)
    assert result.metrics["accuracy"] == 0.5
    assert result.metrics["log_loss"] == pytest.approx(-np.mean(np.log([0.9, 0.2, 0.3, 0.6])), rel=1e-5)
    assert result.loss == pytest.approx(result.metrics["log_loss"], rel=1e-5)
    assert result.confusion.tolist() == [[0, 1], [1, 2]]
    assert task.decode(p.logit()[:, None])["t_prediction"].tolist() == ["yes", "yes", "no", "yes"]
    assert task.decode(p.logit()[:, None])["t_probability_yes"] == pytest.approx(p.numpy(), abs=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"class_weights": "equal"}, "class_weights is 'equal'"),
        ({"class_weights": [1.0]}, "each of the 2 classes"),
        ({"class_weights": [1.0, -1.0]}, "each of the 2 classes"),
        ({"class_weights": [0.0, 0.0]}, "one of them above 0"),
        ({"label_smoothing": 1.0}, "label_smoothing is 1.0"),
        ({"focal_gamma": -1.0}, "focal_gamma is -1.0"),
        ({"field": FieldSpec("class", 3)}, "a field of 3 classes.*Classification"),
        ({"class_weights": "balanced", "field": FieldSpec("class", 2)}, "has no counts"),
    ],
)
def test_bad_options_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        make("binary", **changes)
