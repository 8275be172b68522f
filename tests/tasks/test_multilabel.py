import numpy as np
import pytest
import torch
from scipy.special import expit

from mtl_cli.training.meters import Meter
from tests.tasks._inputs import make, targets, with_missing


def test_the_loss_is_the_mean_over_known_entries():
    target, outputs = with_missing(targets("multilabel")), torch.randn(40, 3) * 2
    p, y = expit(outputs.double().numpy()), target.double().numpy()
    expected = np.nanmean(-y * np.log(p) - (1 - y) * np.log1p(-p))
    assert make("multilabel").loss(outputs, target).item() == pytest.approx(expected, rel=1e-5)


def test_a_missing_entry_sends_no_gradient_and_counts_no_label():
    target, outputs = with_missing(targets("multilabel")), torch.randn(40, 3, requires_grad=True)
    task = make("multilabel")
    task.loss(outputs, target).backward()
    assert ((outputs.grad == 0) == torch.isnan(target)).all()
    assert task.labelled_entries(target) == 40 * 3 - 3 * 3 - 1
    assert int(task.labelled_rows(target).sum()) == 37


def test_f1_by_hand_with_a_missing_entry():
    """a: TP 1, FP 1, FN 0: F1 2/3; b, its last entry unknown: TP 1, FP 0, FN 1: 2/3; c: TP 0, FN 1: 0.
    Macro 4/9; micro: TP 2, FP 1, FN 2: 4/7."""
    outputs = torch.tensor([[1.0, 1.0, -1.0], [1.0, -1.0, -1.0], [-1.0, 1.0, -1.0]])
    target = torch.tensor([[1.0, 1.0, 1.0], [0.0, 1.0, 0.0], [0.0, torch.nan, 0.0]])
    meter = Meter(make("multilabel"), torch.device("cpu"))
    meter.update(outputs, target, 8)
    metrics = meter.result().metrics
    assert metrics["f1"] == pytest.approx(4 / 9)
    assert metrics["f1_micro"] == pytest.approx(4 / 7)


def test_decoded_columns_are_one_of_each_label():
    columns = make("multilabel").decode(torch.tensor([[2.0, -2.0, 0.5]]))
    assert {name: values[0] for name, values in columns.items() if "prediction" in name} == {
        "t_prediction_a": 1, "t_prediction_b": 0, "t_prediction_c": 1,
    }  # fmt: skip
    assert columns["t_probability_a"][0] == pytest.approx(expit(2.0), rel=1e-6)
