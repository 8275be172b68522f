"""Labels far from 0 keep their digits: times in milliseconds, and whole numbers beyond 2^24."""

import numpy as np
import pytest
import torch

from mtl_cli.batch import FieldSpec
from mtl_cli.heads.mlp import MLPHead
from mtl_cli.tasks.count import Count
from mtl_cli.tasks.regression import HuberRegression, L1Regression, Regression
from mtl_cli.tasks.survival import Survival
from mtl_cli.training.meters import Meter
from tests.tables._files import everything, tabular, write_csv

OFFSET = 1.6e12


def table(folder, offset, column="y"):
    stream = np.random.RandomState(0)
    y = np.round(stream.normal(size=200) * 3e4)
    rows = [[round(x, 4), int(offset + value), k % 2] for k, (x, value) in enumerate(zip(y / 3e4, y, strict=True))]
    return write_csv(folder / f"{column}{int(offset)}.csv", ["x", column, "event"], rows)


@pytest.mark.parametrize("kind", [Regression, L1Regression, HuberRegression])
def test_shifted_labels_have_the_losses_metrics_and_trivial_predictor_of_those_around_0(tmp_path, kind):
    found = {}
    for offset in (0.0, OFFSET):
        source = tabular(table(tmp_path, offset), targets={"y": {"kind": "real", "column": "y"}}, drop=["event"])
        fields = everything(source, "train").fields["y"]
        options = {"delta": 1.0} if kind is HuberRegression else {}
        task = kind("y", 1.0, head=MLPHead([]), name="y", field=source.field_specs["y"], **options)
        outputs = everything(source, "train").inputs["numeric"][:, :1] * 0.9
        loss = task.loss(outputs, fields)
        assert loss.dtype == torch.float32
        meter = Meter(task, torch.device("cpu"))
        meter.update(outputs, fields, len(fields))
        trivial = task.trivial_outputs(task.summarise(fields))
        again = type(task.summarise(fields)).of(task.field, task.summarise(fields).state())
        assert torch.equal(task.trivial_outputs(again), trivial)
        written = task.decode(outputs)["y_prediction"].astype(np.float64) - offset
        found[offset] = loss, trivial, meter.result().metrics, written
    (loss, trivial, metrics, written), far = found.values()
    assert far[0] == pytest.approx(loss.item(), rel=1e-4)
    assert torch.allclose(far[1], trivial, atol=1e-4)
    assert far[2] == pytest.approx(metrics, rel=1e-4)
    assert np.abs(far[3] - written).max() < 1.0


def test_labels_around_0_stay_float32(tmp_path):
    source = tabular(table(tmp_path, 0.0), targets={"y": {"kind": "real", "column": "y"}}, drop=["event"])
    assert everything(source, "train").fields["y"].dtype == torch.float32
    assert not FieldSpec("real", mean=(2000.0,), std=(10.0,)).far


def test_times_of_survival_keep_their_order(tmp_path):
    target = {"y": {"kind": "survival", "columns": ["y", "event"]}}
    near, far = (tabular(table(tmp_path, o), targets=target, stratify=None) for o in (10.0**6, OFFSET))
    task = Survival("y", 1.0, MLPHead([]), name="y", field=far.field_specs["y"])
    one, other = (everything(source, "train") for source in (near, far))
    assert len(torch.unique(other.fields["y"][:, 0])) == len(torch.unique(one.fields["y"][:, 0]))
    risks = torch.randn(len(other.fields["y"]), 1)
    assert task.loss(risks, one.fields["y"]).item() == pytest.approx(task.loss(risks, other.fields["y"]).item())


def test_large_counts_are_exact(tmp_path):
    rows = [[k, 2**24 + 1 + k, 0] for k in range(60)]
    path = write_csv(tmp_path / "c.csv", ["x", "y", "event"], rows)
    source = tabular(path, targets={"y": {"kind": "count", "column": "y"}}, drop=["event"])
    labels = everything(source, "train").fields["y"]
    assert bool((labels % 2 == 1).any())
    task = Count("y", 1.0, MLPHead([]), name="y", field=source.field_specs["y"])
    assert task.loss(torch.zeros(len(labels), 1), labels).dtype == torch.float32
