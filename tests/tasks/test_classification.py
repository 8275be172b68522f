import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from mtl_cli.batch import MISSING_CLASS, FieldSpec
from mtl_cli.features import Features, FeatureSpec
from mtl_cli.heads.mlp import MLPHead
from mtl_cli.metrics.base import MetricInfo
from mtl_cli.tasks.classification import FEW_CLASSES, Classification


def classification(num_classes=4, **changes):
    arguments = {"target": "label", "weight": 1.0, "label_smoothing": 0.0, "head": MLPHead(), "name": "a"}
    return Classification(**{**arguments, "field": FieldSpec("class", num_classes), **changes})


def softmax_loss(outputs, target, smoothing=0.0):
    """Return the mean cross-entropy in numpy: outputs [B, C], target [B]; missing rows left out."""
    outputs, target = outputs.double().numpy(), target.numpy()
    logs = outputs - np.log(np.exp(outputs).sum(axis=1, keepdims=True))
    rows = [row for row, label in enumerate(target) if label != MISSING_CLASS]
    losses = [-(1 - smoothing) * logs[row, target[row]] - smoothing * logs[row].mean() for row in rows]
    return float(np.mean(losses))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("missing", [False, True])
def test_the_loss_is_the_mean_cross_entropy_over_the_labelled_rows(smoothing, missing):
    outputs, target = torch.randn(20, 4), torch.randint(4, (20,))
    if missing:
        target[[0, 3, 4, 19]] = MISSING_CLASS
    loss = classification(label_smoothing=smoothing).loss(outputs, target)
    assert loss.item() == pytest.approx(softmax_loss(outputs, target, smoothing), rel=1e-5)


@pytest.mark.parametrize("num_classes", [3, FEW_CLASSES + 1])
def test_losses_of_tasks_as_one_are_those_of_each(num_classes):
    settings = {"label_smoothing": 0.1, "focal_gamma": 1.0}
    weighted = classification(num_classes, class_weights=[2.0] + [1.0] * (num_classes - 1), **settings)
    tasks = [classification(num_classes, **settings), weighted]
    outputs, target = torch.randn(20, 2, num_classes), torch.randint(num_classes, (20, 2))
    target[:2], target[4, 1] = 0, MISSING_CLASS
    found = tasks[0].stacked(tasks).losses(outputs, target, torch.tensor([20, 19]), full=False)
    alone = [task.loss(outputs[:, row], target[:, row]).item() for row, task in enumerate(tasks)]
    assert found.tolist() == pytest.approx(alone, rel=1e-5)
    assert classification(num_classes).form != tasks[0].form


def test_a_missing_label_sends_no_gradient():
    outputs = torch.randn(3, 4, requires_grad=True)
    classification().loss(outputs, torch.tensor([1, MISSING_CLASS, 2])).backward()
    assert torch.equal(outputs.grad[1], torch.zeros(4))
    assert outputs.grad[0].abs().min() > 0


def measured(task, predictions, target):
    values = {}
    for name, metric in task.metrics().items():
        metric.update(predictions, target)
        values[name] = metric.compute()
    return values


def test_accuracy_macro_f1_and_confusion_by_hand():
    """Class 0: TP 2, FP 1, FN 1, F1 2/3; class 1: TP 1, FP 1, FN 0, F1 2/3; class 2: TP 0, FP 1, FN 2, F1 0;
    class 3 does not occur and is left out of the mean: (2/3 + 2/3 + 0) / 3 = 4/9."""
    target = torch.tensor([0, 0, 0, 1, 2, 2])
    predictions = torch.tensor([0, 0, 1, 1, 0, 0]).clone()
    predictions[2], predictions[5] = 2, 1
    values = measured(classification(), predictions, target)
    assert values["accuracy"].item() == pytest.approx(3 / 6)
    assert values["f1"].item() == pytest.approx(4 / 9)
    assert values["confusion"].tolist() == [[2, 0, 1, 0], [0, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0]]


def test_macro_f1_and_confusion_equal_numpy_on_random_predictions():
    target, predictions = torch.randint(5, (300,)), torch.randint(5, (300,))
    confusion = np.zeros((5, 5), dtype=int)
    for truth, guess in zip(target.tolist(), predictions.tolist(), strict=True):
        confusion[truth, guess] += 1
    hits = np.diag(confusion)
    expected = np.mean(2 * hits / (confusion.sum(axis=0) + confusion.sum(axis=1)))
    values = measured(classification(5), predictions, target)
    assert values["confusion"].numpy().tolist() == confusion.tolist()
    assert values["f1"].item() == pytest.approx(expected, rel=1e-5)
    assert values["accuracy"].item() == pytest.approx(hits.sum() / 300, rel=1e-6)


def test_predictions_are_the_most_likely_classes():
    outputs = torch.randn(30, 4)
    assert classification().predictions(outputs).tolist() == [
        max(range(4), key=row.__getitem__) for row in outputs.tolist()
    ]


def test_the_trivial_predictor_is_the_constant_with_the_least_cross_entropy():
    target = torch.tensor([2, 2, 0, 2, 1, 2, MISSING_CLASS, 0])
    task = classification()
    outputs = task.trivial_outputs(task.summarise(target))
    assert outputs.shape == (4,)
    torch.testing.assert_close(outputs.softmax(0), torch.tensor([2 / 7, 1 / 7, 4 / 7, 0.0]), atol=1e-5, rtol=1e-4)
    loss = task.loss(outputs.expand(8, 4), target).item()
    entropy = -sum(p * math.log(p) for p in (2 / 7, 1 / 7, 4 / 7))
    assert loss == pytest.approx(entropy, abs=1e-5)
    other = F.log_softmax(torch.randn(4), 0)
    assert task.loss(other.expand(8, 4), target).item() > loss
    assert task.predictions(outputs.expand(8, 4)).tolist() == [2] * 8


def test_without_training_labels_the_trivial_predictor_knows_no_class_better():
    task = classification()
    outputs = task.trivial_outputs(task.summarise(torch.full((5,), MISSING_CLASS)))
    torch.testing.assert_close(outputs.softmax(0), torch.full((4,), 0.25))


def test_the_head_is_as_wide_as_there_are_classes():
    head = classification(26, head=MLPHead(hidden=[5])).build_head(FeatureSpec((3, 2, 2)))
    assert head(Features(torch.randn(7, 3, 2, 2))).shape == (7, 26)


def test_labelled_entries_and_rows():
    target = torch.tensor([1, MISSING_CLASS, 0])
    assert classification().labelled_entries(target) == 2
    assert classification().labelled_rows(target).tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weight": -1.0}, r"tasks\.a\.weight is -1\.0"),
        ({"weight": math.nan}, r"tasks\.a\.weight is nan"),
        ({"weight": math.inf}, r"tasks\.a\.weight is inf"),
        ({"label_smoothing": 1.0}, r"tasks\.a\.label_smoothing is 1\.0"),
        ({"label_smoothing": -0.1}, r"tasks\.a\.label_smoothing is -0\.1"),
        ({"label_smoothing": math.nan}, r"tasks\.a\.label_smoothing is nan"),
        ({"field": FieldSpec("real")}, r"tasks\.a\.target is 'label', a field of kind real"),
    ],
)
def test_values_out_of_range_are_refused_and_named(changes, message):
    with pytest.raises(ValueError, match=message):
        classification(**changes)


def test_skill_is_the_part_of_the_way_from_trivial_to_perfect():
    score, error = MetricInfo(), MetricInfo(lower_is_better=True)
    assert score.skill(0.9, 0.5) == pytest.approx(0.8)
    assert score.skill(0.5, 0.5) == 0
    assert score.skill(0.25, 0.5) == pytest.approx(-0.5)
    assert score.skill(0.75, 1.0) == pytest.approx(-0.25)
    assert error.skill(2.0, 8.0) == pytest.approx(0.75)
    assert error.skill(16.0, 8.0) == pytest.approx(-1.0)
    assert error.skill(0.5, 0.0) == -0.5
