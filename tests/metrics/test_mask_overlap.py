import math

import pytest
import torch
from sklearn.metrics import f1_score, jaccard_score

from mtl_cli.metrics.mask_overlap import MaskDice, MaskIoU


def value(metric, found, true):
    for part in (slice(0, 1), slice(1, None)):
        metric.update(found[part], true[part])
    return metric.compute().item()


def test_they_are_the_means_over_classes_of_what_scikit_learn_says():
    found, true = torch.rand(5, 3, 6, 7) > 0.5, (torch.rand(5, 3, 6, 7) > 0.3).float()
    true[0, 1] = torch.nan
    known = ~true.isnan()
    pairs = [(true[:, k][known[:, k]].numpy(), found[:, k][known[:, k]].numpy()) for k in range(3)]
    assert value(MaskDice(3), found, true) == pytest.approx(sum(f1_score(*pair) for pair in pairs) / 3)
    assert value(MaskIoU(3), found, true) == pytest.approx(sum(jaccard_score(*pair) for pair in pairs) / 3)


def test_a_class_that_is_neither_there_nor_found_is_left_out():
    found, true = torch.zeros(2, 2, 4, 4).bool(), torch.zeros(2, 2, 4, 4)
    assert math.isnan(value(MaskDice(2), found, true))
    found[:, 0], true[:, 0, :2] = True, 1.0
    assert value(MaskDice(2), found, true) == pytest.approx(2 / 3)
    assert value(MaskIoU(2), found, true) == 0.5
