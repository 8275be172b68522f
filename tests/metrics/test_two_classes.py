import pytest
import torch
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score

from mtl_cli.metrics.two_classes import BinaryAccuracy, BinaryConfusion, BinaryF1


def value(metric, said, true):
    for part in (slice(0, 7), slice(7, None)):
        metric.update(said[part], true[part])
    return metric.compute()


def test_they_are_those_of_scikit_learn():
    said, true = torch.rand(50), torch.randint(2, (50,))
    said[:2] = 0.5  # is not a yes
    guess = (said > 0.5).long()
    assert value(BinaryAccuracy(), said, true).item() == pytest.approx(accuracy_score(true, guess))
    assert value(BinaryF1(), said, true).item() == pytest.approx(f1_score(true, guess))
    assert value(BinaryConfusion(), said, true).tolist() == confusion_matrix(true, guess).tolist()


def test_f1_is_0_where_class_1_occurs_nowhere():
    assert value(BinaryF1(), torch.full((9,), 0.1), torch.zeros(9, dtype=torch.int64)) == 0.0
