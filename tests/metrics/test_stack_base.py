import importlib
import math

import pytest
import torch

from mtl_cli.metrics.classes import Accuracy, Confusion, MacroF1
from mtl_cli.metrics.log_loss import LogLoss
from mtl_cli.metrics.stack_base import (
    AUCs,
    Confusions,
    LogLosses,
    R2s,
    Stacked,
    StackedAccuracy,
    StackedF1,
    StackedMAE,
    StackedRMSE,
)

MISSING = -100
COLUMNS = 6


def torchmetric(name, **options):
    """Return a metric of torchmetrics, which is imported after this package has repaired torchvision."""
    module, _, cls = name.partition(".")
    return getattr(importlib.import_module(f"torchmetrics.{module}"), cls)(**options)


def numbers(rows=70):
    stream = torch.Generator().manual_seed(0)
    target = 10 * torch.randn(rows, COLUMNS, generator=stream) + 3
    predictions = target + torch.randn(rows, COLUMNS, generator=stream)
    target[torch.rand(rows, COLUMNS, generator=stream) < 0.4] = torch.nan
    return predictions, target


def answers(rows=70):
    """Probabilities with many ties, and labels of which some are missing."""
    stream = torch.Generator().manual_seed(1)
    predictions = (10 * torch.rand(rows, COLUMNS, generator=stream)).round() / 10
    target = (torch.rand(rows, COLUMNS, generator=stream) < predictions).long()
    target[torch.rand(rows, COLUMNS, generator=stream) < 0.4] = MISSING
    return predictions, target


def classes(rows=70):
    """Predicted and true ones of four, of which the last is true in no row, and predicted in few columns."""
    stream = torch.Generator().manual_seed(2)
    target = torch.randint(3, (rows, COLUMNS), generator=stream)
    predictions = torch.where(torch.rand(rows, COLUMNS, generator=stream) < 0.5, target, 1)
    predictions[3, :2] = 3
    target[torch.rand(rows, COLUMNS, generator=stream) < 0.4] = MISSING
    target[3] = 0
    return predictions, target


def of_four(name, **options):
    return lambda: torchmetric(f"classification.Multiclass{name}", num_classes=4, **options)


def by_column(make, predictions, target):
    """Return what a metric of one column gives for the labelled rows of each."""
    found = []
    for column in range(COLUMNS):
        own = target[:, column]
        keep = ~torch.isnan(own) if own.is_floating_point() else own != MISSING
        metric = make()
        metric.update(predictions[keep, column], own[keep])
        found.append(metric.compute())
    return torch.stack(found).double()


def in_batches(metric, predictions, target):
    for part in torch.arange(len(target)).split(16):
        metric.update(predictions[part], target[part])
    return metric.compute().double()


CASES = {
    "mae": (numbers, StackedMAE(COLUMNS), lambda: torchmetric("regression.MeanAbsoluteError")),
    "rmse": (numbers, StackedRMSE(COLUMNS), lambda: torchmetric("regression.MeanSquaredError", squared=False)),
    "r2": (numbers, R2s(torch.full((COLUMNS,), 2.0)), lambda: torchmetric("regression.R2Score")),
    "auc": (answers, AUCs(), lambda: torchmetric("classification.BinaryAUROC")),
    "f1": (answers, StackedF1(COLUMNS), lambda: torchmetric("classification.BinaryF1Score")),
    "accuracy": (answers, StackedAccuracy(COLUMNS), lambda: torchmetric("classification.BinaryAccuracy")),
    "confusion": (answers, Confusions(COLUMNS), lambda: torchmetric("classification.BinaryConfusionMatrix")),
    "accuracy of classes": (classes, Stacked(Accuracy(), COLUMNS), of_four("Accuracy", average="micro")),
    "f1 of classes": (classes, Stacked(MacroF1(4), COLUMNS), of_four("F1Score", average="macro")),
    "confusion of classes": (classes, Stacked(Confusion(4), COLUMNS), of_four("ConfusionMatrix")),
    "log_loss": (answers, LogLosses(COLUMNS), LogLoss),
}


@pytest.mark.parametrize("name", CASES)
def test_columns_have_the_values_of_torchmetrics(name):
    data, stacked, single = CASES[name]
    stacked.reset()
    predictions, target = data()
    expected = by_column(single, predictions, target)
    assert torch.allclose(in_batches(stacked, predictions, target), expected, rtol=1e-6, atol=1e-7)


def test_a_column_of_one_class_has_no_auc_and_one_of_equal_numbers_no_r2():
    predictions, target = answers()
    target[:, 2] = 1
    target[:, 4] = MISSING
    found = in_batches(AUCs(), predictions, target)
    assert [math.isnan(value) for value in found] == [False, False, True, False, True, False]
    predictions, target = numbers()
    target[:, 1] = 5.0
    found = in_batches(R2s(torch.full((COLUMNS,), 2.0)), predictions, target)
    assert [math.isnan(value) for value in found] == [
        False,
        True,
    ] + 4 * [False]


def test_the_area_of_a_constant_prediction_is_one_half():
    _, target = answers()
    assert in_batches(AUCs(), torch.full(target.shape, 0.3), target).tolist() == COLUMNS * [0.5]


def test_f1_is_0_without_a_positive_in_truth_or_prediction():
    target = torch.zeros(5, COLUMNS, dtype=torch.int64)
    assert in_batches(StackedF1(COLUMNS), torch.full(target.shape, 0.1), target).tolist() == COLUMNS * [0.0]
