import math

import numpy as np
import pytest
import torch
from scipy.special import huber

from mtl_cli.batch import FieldSpec
from mtl_cli.training.meters import Meter
from tests.tasks._inputs import FIELDS, make, targets, with_missing

ERRORS = {"regression": np.square, "l1_regression": np.abs, "huber_regression": lambda error: huber(1.0, error)}


@pytest.mark.parametrize("kind", ERRORS)
def test_the_loss_is_the_mean_error_on_the_scale_of_the_training_split(kind):
    target, field = with_missing(targets(kind)), FIELDS[kind]
    outputs = torch.randn(40, make(kind).num_outputs) * 2
    y = target.double().numpy().reshape(40, -1)
    expected = np.nanmean(ERRORS[kind](outputs.double().numpy() - (y - field.mean) / field.std))
    assert make(kind).loss(outputs, target).item() == pytest.approx(expected, rel=1e-4)


def test_metrics_are_in_the_targets_own_unit_by_hand():
    """Mean 100 and std 20: outputs 0, 1, −1 say 100, 120, 80; y = 110, 120, 60: errors −10, 0, 20. MAE 10, RMSE
    √(500/3); the labels' deviations from 96.67 have squares 177.8 + 544.4 + 1344.4: R² = 1 − 500/2066.7."""
    task = make("regression", FieldSpec("real", mean=(100.0,), std=(20.0,)))
    meter = Meter(task, torch.device("cpu"))
    meter.update(torch.tensor([[0.0], [1.0], [-1.0]]), torch.tensor([110.0, 120.0, 60.0]), 3)
    metrics = meter.result().metrics
    assert metrics["mae"] == pytest.approx(10.0)
    assert metrics["rmse"] == pytest.approx((500 / 3) ** 0.5, rel=1e-6)
    assert metrics["r2"] == pytest.approx(1 - 500 / (6200 / 3), rel=1e-6)
    assert task.decode(torch.tensor([[0.5]]))["t_prediction"].tolist() == [110.0]


def test_vectors_are_decoded_to_a_column_each():
    columns = make("regression").decode(torch.tensor([[1.0, -2.0]]))
    assert {name: values.tolist() for name, values in columns.items()} == {
        "t_prediction_x": [120.0], "t_prediction_y": [-4.0],
    }  # fmt: skip


def test_trivial_outputs_are_mean_and_median_of_the_labels():
    target = torch.tensor([1.0, 2.0, 3.0, 10.0, torch.nan, 4.0])
    scalar = FieldSpec("real", mean=(7.0,), std=(2.0,))
    absolute, squared = make("l1_regression"), make("regression", scalar)
    assert absolute.trivial_outputs(absolute.summarise(target)).item() == pytest.approx((3.0 - 7.0) / 2.0)
    assert squared.trivial_outputs(squared.summarise(target)).item() == pytest.approx((4.0 - 7.0) / 2.0)


def test_a_field_without_statistics_or_with_no_spread_is_not_scaled():
    for field in (FieldSpec("real"), FieldSpec("real", mean=(0.0,), std=(0.0,))):
        task = make("regression", field)
        assert task.predictions(torch.tensor([[3.0]])).item() == 3.0


def test_a_threshold_of_zero_is_refused():
    with pytest.raises(ValueError, match=r"delta is 0\.0"):
        make("huber_regression", delta=0.0)


LABELS = torch.from_numpy(np.random.default_rng(0).lognormal(7.0, 1.5, 40)).float()
PAIRS = torch.stack([LABELS, LABELS.flip(0) * 10], dim=1)


@pytest.mark.parametrize("labels", [LABELS, PAIRS], ids=["one column", "two columns"])
def test_the_loss_is_the_squared_error_of_standardised_logarithms(labels):
    target = with_missing(labels)
    raw = FieldSpec(
        "real", shape=tuple(labels.shape[1:]), mean=(1.0, 2.0)[: labels.ndim], std=(3.0, 4.0)[: labels.ndim]
    )
    task = make("log_regression", make("log_regression", raw).summarise(target).spec())
    logs = np.log(target.double().numpy().reshape(40, -1))
    places = (logs - np.nanmean(logs, axis=0)) / np.nanstd(logs, axis=0)
    outputs = torch.randn(40, labels.ndim)
    expected = np.nanmean((outputs.double().numpy() - places) ** 2)
    assert task.loss(outputs, target).item() == pytest.approx(expected, rel=1e-5)
    assert torch.allclose(task.predictions(task.expected(labels)), task.references(labels), rtol=1e-5)


def test_the_trivial_predictor_is_the_geometric_mean_by_hand():
    labels = torch.tensor([1.0, 10.0, 100.0, torch.nan])
    summary = make("log_regression", FieldSpec("real")).summarise(labels)
    task = make("log_regression", summary.spec())
    assert task.decode(task.trivial_outputs(summary).reshape(1, 1))["t_prediction"].tolist() == pytest.approx([10.0])
    assert task.field.std == pytest.approx((math.log(10) * math.sqrt(2 / 3),))


@pytest.mark.parametrize("value", [0.0, -2.5, math.inf])
def test_labels_without_a_logarithm_are_named(value):
    kind = type(make("log_regression"))
    problem = kind.summary_class.problem(FieldSpec("real"), torch.tensor([3.0, torch.nan, value]))
    assert problem == f"holds {value:g}; a log scale is for numbers above 0"
    assert kind.summary_class.problem(FieldSpec("real"), torch.tensor([3.0, torch.nan])) is None
