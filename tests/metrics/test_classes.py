import math

import pytest
import torch
from sklearn.metrics import accuracy_score, cohen_kappa_score, confusion_matrix, f1_score

from mtl_cli.metrics.classes import Accuracy, Confusion, MacroF1, QuadraticKappa, RankError


def value(metric, said, true):
    for part in (slice(0, 7), slice(7, None)):
        metric.update(said[part], true[part])
    return metric.compute()


@pytest.mark.parametrize("shape", [(60,), (20, 5)], ids=["rows", "words of sentences"])
def test_they_are_those_of_scikit_learn_over_what_is_labelled(shape):
    said, true = torch.randint(5, (2, *shape))
    true[::4] = -100
    truth, guess = true[true != -100].numpy(), said[true != -100].numpy()
    assert value(Accuracy(), said, true).item() == pytest.approx(accuracy_score(truth, guess))
    assert value(MacroF1(5), said, true).item() == pytest.approx(f1_score(truth, guess, average="macro"))
    assert value(Confusion(5), said, true).tolist() == confusion_matrix(truth, guess).tolist()
    kappa = cohen_kappa_score(truth, guess, weights="quadratic")
    assert value(QuadraticKappa(5), said, true).item() == pytest.approx(kappa, abs=1e-6)
    assert value(RankError(), said, true).item() == pytest.approx(abs(truth - guess).mean())


def test_a_class_that_occurs_nowhere_is_left_out_of_f1():
    said, true = torch.randint(3, (2, 40))
    assert value(MacroF1(9), said, true) == pytest.approx(value(MacroF1(3), said, true).item())


def test_perfect_wrong_and_constant_predictions():
    true = torch.arange(12) % 3
    for metric in (Accuracy, lambda: MacroF1(3), lambda: QuadraticKappa(3)):
        assert value(metric(), true, true) == 1.0
    assert value(Accuracy(), (true + 1) % 3, true) == value(MacroF1(3), (true + 1) % 3, true) == 0.0
    assert value(QuadraticKappa(3), torch.ones_like(true), true).item() == pytest.approx(0.0, abs=1e-6)
    assert math.isnan(value(QuadraticKappa(3), torch.ones_like(true), torch.ones_like(true)))
