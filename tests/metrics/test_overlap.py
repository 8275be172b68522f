import math

import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score, jaccard_score

from mtl_cli.metrics.overlap import Dice, MeanIoU, PixelAccuracy


def drawn(classes, rows=5):
    true, found = torch.randint(classes, (2, rows, 6, 7))
    true[:, 0] = -100
    return found, true


def value(metric, found, true):
    for part in (slice(0, 1), slice(1, None)):
        metric.update(found[part], true[part])
    return metric.compute()


def test_metrics_of_several_classes_are_those_of_scikit_learn():
    found, true = drawn(4)
    known = true != -100
    truth, said = true[known].numpy(), found[known].numpy()
    assert value(MeanIoU(4), found, true).item() == pytest.approx(jaccard_score(truth, said, average="macro"))
    assert value(Dice(4), found, true).item() == pytest.approx(f1_score(truth, said, average="macro"))
    assert value(PixelAccuracy(4), found, true).item() == pytest.approx(accuracy_score(truth, said))


def test_dice_of_two_classes_is_that_of_the_second():
    found, true = drawn(2)
    known = true != -100
    assert value(Dice(2), found, true).item() == pytest.approx(f1_score(true[known].numpy(), found[known].numpy()))


def test_a_class_that_occurs_nowhere_is_left_out():
    found, true = drawn(3)
    assert value(MeanIoU(5), found, true) == value(MeanIoU(3), found, true)
    assert value(Dice(5), found, true) == value(Dice(3), found, true)


def test_perfect_wrong_and_empty_predictions():
    ones, zeros = torch.ones(2, 3, 3, dtype=torch.long), torch.zeros(2, 3, 3, dtype=torch.long)
    half = torch.cat([ones, zeros])
    for metric in (MeanIoU, Dice, PixelAccuracy):
        assert value(metric(2), half, half) == 1.0
        assert value(metric(2), 1 - half, half) == 0.0
    assert math.isnan(value(Dice(2), zeros, zeros)), "nothing to find, and nothing found"
    assert value(Dice(2), ones, zeros) == 0.0
