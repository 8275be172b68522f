"""Whole runs on generated labels: each kind of task learns what there is to learn, and nothing from shuffled labels."""

import pytest
import torch

from mtl_cli.runs import run
from mtl_cli.training.meters import Meter
from tests import _toy
from tests.tasks._generated import FIELDS, Generated, truth
from tests.tasks._inputs import CLASSES, make

HEAD = {"_target_": "mtl_cli.heads.mlp.MLPHead", "hidden": []}


def task_node(kind, shuffled):
    cls, options = CLASSES[kind]
    dataset = {"_target_": "tests.tasks._generated.Generated", "seed": 1, "batch_size": 128, "missing": 0.1}
    node = {"_target_": f"{cls.__module__}.{cls.__name__}", "target": kind, "weight": 1.0, "head": HEAD, **options}
    return {"dataset": {**dataset, "shuffled": shuffled}, **node}


def trained(directory, shuffled):
    """Return the test metrics of one run of all kinds together."""
    backbone = {"_target_": "mtl_cli.backbones.mlp.MLP", "hidden": [64], "dropout": 0.0, "activation": "relu"}
    config = _toy.config(
        tasks={kind: task_node(kind, shuffled) for kind in FIELDS},
        backbone={**backbone, "init": "default"},
        trainer__max_epochs=5,
        trainer__log_every=50,
    )
    return run.train(config, directory, [])["test"]


def best_and_trivial(kind):
    """Return the primary metric on the test rows of the true law and of the best constant."""
    source = Generated(1, 128, 0.1, False)
    rows, train = source.split("test"), source.split("train").labels(kind)
    task = make(kind, FIELDS[kind])
    values = []
    for outputs in (truth(kind, rows.inputs), task.trivial_outputs(task.summarise(train)).expand(len(rows), -1)):
        meter = Meter(task, torch.device("cpu"))
        meter.update(outputs, rows.labels(kind), task.labelled_entries(rows.labels(kind)))
        values.append(meter.result().metrics[task.primary])
    return values


@pytest.fixture(scope="module")
def learnt(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("learnt") / "run", shuffled=False)


@pytest.fixture(scope="module")
def from_noise(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("noise") / "run", shuffled=True)


@pytest.mark.parametrize("kind", FIELDS)
def test_a_model_reaches_the_optimum_from_labels_but_not_from_shuffled_ones(kind, learnt, from_noise):
    best, trivial = best_and_trivial(kind)
    key = f"{kind}/{CLASSES[kind][0].primary}"
    assert (learnt[key] - trivial) / (best - trivial) >= 0.95, f"{learnt[key]} of {best}, trivial {trivial}"
    assert (from_noise[key] - trivial) / (best - trivial) <= 0.1, f"{from_noise[key]} of {best}, trivial {trivial}"


def test_the_optimum_is_one():
    """No other outputs do better by the loss than the true law, for each kind."""
    source = Generated(1, 128, 0.0, False)
    rows = source.split("test")
    for kind in FIELDS:
        task, outputs = make(kind, FIELDS[kind]), truth(kind, rows.inputs)
        loss = task.loss(outputs, rows.labels(kind))
        for change in (outputs * 1.3, outputs * 0.7, outputs + 0.3 * torch.randn_like(outputs)):
            assert task.loss(change, rows.labels(kind)) > loss
