"""Class weights, focal loss and label smoothing of classification; plain classification: test_classification.py."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tests.tasks._inputs import make, targets, with_missing


def reference(outputs, target, smoothing, weights, gamma):
    """Return the mean loss of the labelled rows, in float64 by its formula."""
    logits, y = outputs.double().numpy(), target.numpy()
    logits, y = logits[y >= 0], y[y >= 0]
    logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    true = logs[np.arange(len(y)), y]
    cross_entropy = -(1 - smoothing) * true - smoothing * logs.mean(axis=1)
    return float(np.mean(np.take(weights, y) * (1 - np.exp(true)) ** gamma * cross_entropy))


@pytest.mark.parametrize(("smoothing", "weights", "gamma"), [(0.0, [1, 2, 3, 4], 0.0), (0.1, [1, 1, 0, 2], 2.0)])
def test_the_loss_is_its_formula(smoothing, weights, gamma):
    task = make("classification", label_smoothing=smoothing, class_weights=weights, focal_gamma=gamma)
    target, outputs = with_missing(targets("classification")), torch.randn(40, 4) * 2
    assert task.loss(outputs, target).item() == pytest.approx(reference(outputs, target, smoothing, weights, gamma))


def test_weights_of_one_and_gamma_of_nearly_zero_are_plain_cross_entropy():
    target, outputs = with_missing(targets("classification")), torch.randn(40, 4)
    plain = F.cross_entropy(outputs, target, ignore_index=-100).item()
    assert make("classification", class_weights=[1.0] * 4).loss(outputs, target).item() == pytest.approx(plain)
    assert make("classification", focal_gamma=1e-6).loss(outputs, target).item() == pytest.approx(plain, rel=1e-4)
    assert make("classification").loss(outputs, target).item() == plain


def test_the_focal_loss_turns_to_hard_rows():
    easy, hard = torch.tensor([[6.0, 0, 0, 0]]), torch.tensor([[0.0, 1.0, 0, 0]])
    target = torch.tensor([0])
    plain, focal = make("classification"), make("classification", focal_gamma=2.0)
    ratios = [(task.loss(easy, target) / task.loss(hard, target)).item() for task in (plain, focal)]
    assert ratios[1] < ratios[0] / 100


def test_balanced_weights_with_a_class_that_does_not_occur():
    from mtl_cli.batch import FieldSpec

    weights = make("classification", FieldSpec("class", 3, counts=(6, 0, 2)), class_weights="balanced").class_weights
    assert weights.tolist() == pytest.approx([8 / (2 * 6), 0.0, 8 / (2 * 2)])


def test_decoded_classes_are_numbers_where_they_have_no_names():
    columns = make("classification").decode(torch.eye(4) * 5)
    assert columns["t_prediction"].tolist() == [0, 1, 2, 3]
    assert set(columns) == {"t_prediction", *(f"t_probability_{number}" for number in range(4))}


@pytest.mark.parametrize("kind", ["binary", "classification"])
@pytest.mark.parametrize("gamma", [0.5, 2.0])
@pytest.mark.parametrize("scale", [0.0, 30.0, 1e4])
def test_the_focal_loss_has_finite_gradients_for_certain_predictions(kind, gamma, scale):
    task = make(kind, focal_gamma=gamma, label_smoothing=0.1)
    outputs = (torch.randn(40, task.num_outputs) * scale).requires_grad_()
    loss = task.loss(outputs, targets(kind))
    loss.backward()
    assert loss.isfinite()
    assert outputs.grad.isfinite().all()
