from types import SimpleNamespace

import pytest
import torch

from mtl_cli.batch import Batch, Inputs
from mtl_cli.features import Features, FeatureSpec
from mtl_cli.heads.mlp import MLPHead
from mtl_cli.model.multi_task_model import Outputs
from mtl_cli.tasks.classification import Classification
from mtl_cli.training.readouts import last_layers, readouts
from mtl_cli.weightings.readout_base import CATEGORICAL, GAUSSIAN
from tests.tasks._inputs import KINDS, make, targets, with_missing

READ = {
    "regression": "gaussian",
    "log_regression": "gaussian",
    "binary": "bernoulli",
    "multilabel": "bernoulli",
    "rotation": "categorical",
    "classification": "categorical",
}


def model_of(task, members=1, same_features=True, hidden=()):
    head = MLPHead(hidden).build(FeatureSpec((5,)), task.num_outputs)
    return SimpleNamespace(heads={"t": head}, members=members, sharing=SimpleNamespace(same_features=same_features))


def test_the_kinds_of_task_that_have_a_likelihood_are_these():
    plain = {"label_smoothing": 0.0, "class_weights": None, "focal_gamma": 0.0}
    found = {}
    for kind in KINDS:
        given = plain if kind in ("binary", "classification") else {}
        found[kind] = make(kind, **given).likelihood()
    assert {kind: likelihood for kind, likelihood in found.items() if likelihood} == READ


@pytest.mark.parametrize("change", [{"label_smoothing": 0.1}, {"focal_gamma": 2.0}, {"class_weights": "balanced"}])
@pytest.mark.parametrize("kind", ["binary", "classification"])
def test_a_changed_cross_entropy_has_none(kind, change):
    plain = {"label_smoothing": 0.0, "class_weights": None, "focal_gamma": 0.0}
    task = make(kind, **{**plain, **change})
    assert task.likelihood() is None
    assert "label_smoothing, class_weights and focal_gamma" in last_layers(model_of(task), {"t": task})["t"].problem


def test_a_class_of_one_s_own_with_another_loss_has_none():
    class Margin(Classification):
        def loss(self, outputs, target):
            return outputs.square().mean()

    plain = make("classification", label_smoothing=0.0)
    assert plain.likelihood() == "categorical"
    plain.__class__ = Margin
    assert plain.likelihood() is None


@pytest.mark.parametrize("kind", READ)
def test_a_readout_says_what_the_gradient_of_the_loss_is(kind):
    """∂loss/∂outputs is scale/n · (mean − target), n the outputs of a row; twice that for squared errors."""
    task = make(kind, weight=0.5)
    target, features = with_missing(targets(kind)), Features(torch.randn(40, 5))
    model = model_of(task)
    outputs = model.heads["t"](features).detach().requires_grad_()
    labels = task.labelled_entries(target)
    batch = Batch(Inputs(features.values, "one"), {"t": target}, {"t": labels})
    share = 0.25  # the batch has a quarter of the step's labels
    (found,) = readouts(
        model, {"t": task}, batch, Outputs({}, [], None, {}, {"t": features}), {"t": 4 * labels}
    ).values()
    (task.loss(outputs, target) * share * task.weight).backward()
    expected = found.inputs @ found.weight.T + found.bias
    if found.likelihood == CATEGORICAL:
        expected = expected.softmax(dim=1)
    elif found.likelihood != GAUSSIAN:
        expected = expected.sigmoid()
    factor = found.scale / found.marks.shape[1] * (2 if found.likelihood == GAUSSIAN else 1)
    assert found.likelihood == READ[kind]
    assert torch.allclose((expected - found.target) * found.marks * factor, outputs.grad, atol=1e-7)
    assert last_layers(model, {"t": task})["t"].shape == (task.num_outputs, 5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden": [4]}, "more than one linear layer on the shared features. Use tasks.t.head.hidden=[]"),
        ({"members": 3}, "that of 3 networks. Use backbone.members=1"),
        ({"same_features": False}, "not those of all tasks. Use sharing=hard"),
    ],
)
def test_a_layer_that_cannot_be_read_says_why(changes, message):
    task = make("regression")
    assert message in last_layers(model_of(task, **changes), {"t": task})["t"].problem
