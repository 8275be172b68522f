import math

import numpy as np
import pytest
import torch
from torch import nn

from mtl_cli.batch import MISSING_CLASS, Sample
from mtl_cli.model.multi_task_model import Outputs
from mtl_cli.training.arithmetic import Arithmetic
from mtl_cli.training.evaluate import evaluate_model, flat, skill
from mtl_cli.training.loading import Stream
from mtl_cli.training.meters import Result, shortest
from mtl_cli.training.order import Order
from tests._models import task

CPU = Arithmetic(torch.device("cpu"), bf16=False)


class Rows:
    """Inputs are the rows' own numbers [N, 1]."""

    def __init__(self, **fields):
        self.fields = fields

    def __len__(self):
        return len(next(iter(self.fields.values())))

    def __getitems__(self, indices):
        return Sample(indices.float().unsqueeze(1), {name: field[indices] for name, field in self.fields.items()})

    def labels(self, field):
        return self.fields[field]


class Table(nn.Module):
    """Looks up each task's outputs by the number of the row."""

    def __init__(self, outputs):
        super().__init__()
        self.outputs, self.asked = outputs, []

    def forward(self, inputs, tasks, boundary=False):
        assert not self.training
        assert not torch.is_grad_enabled()
        self.asked.append(tuple(tasks))
        rows = inputs.values[:, 0].long()
        return Outputs({name: self.outputs[name][rows] for name in tasks}, [], None)

    def predict(self, inputs, tasks, targets=None):
        return self.forward(inputs, tasks)


def streams(batch_size=4, **datasets):
    """Return a stream a dataset: targets by task and fields by name, as given."""
    return {
        name: Stream(Rows(**fields), name, targets, Order(len(Rows(**fields)), batch_size, name, 0), CPU.device)
        for name, (targets, fields) in datasets.items()
    }


def logits(rows, classes, seed=0):
    return torch.randn(rows, classes, generator=torch.Generator().manual_seed(seed)) * 2


def by_numpy(outputs, target):
    """Return loss, accuracy, macro-F1, confusion and count of the labelled rows."""
    keep = target != MISSING_CLASS
    outputs, target = outputs[keep].double().numpy(), target[keep].numpy()
    logs = outputs - np.log(np.exp(outputs).sum(axis=1, keepdims=True))
    guesses = outputs.argmax(axis=1)
    confusion = np.zeros((outputs.shape[1],) * 2, dtype=int)
    np.add.at(confusion, (target, guesses), 1)
    sums = confusion.sum(axis=0) + confusion.sum(axis=1)
    f1 = 2 * np.diag(confusion)[sums > 0] / sums[sums > 0]
    return -logs[np.arange(len(target)), target].mean(), (guesses == target).mean(), f1.mean(), confusion, len(target)


@pytest.fixture
def case():
    """Two tasks of one dataset, the second with missing labels (none at all in rows 8 … 31), and one of another."""
    stream = torch.Generator().manual_seed(1)
    first, second = (torch.randint(3, (37,), generator=stream) for _ in range(2))
    second[torch.rand(37, generator=stream) < 0.3] = MISSING_CLASS
    second[8:32] = MISSING_CLASS
    third = torch.randint(3, (11,), generator=stream)
    outputs = {"a": logits(37, 3), "b": logits(37, 3, 1), "c": logits(11, 3, 2)}
    datasets = {
        "one": ({"b": "second", "a": "first"}, {"first": first, "second": second}),
        "two": ({"c": "label"}, {"label": third}),
    }
    return Table(outputs), {name: task(name) for name in "abc"}, datasets, {"a": first, "b": second, "c": third}


@pytest.mark.parametrize("batch_size", [1, 2, 5, 9, 100])
def test_results_equal_numpy_whatever_the_batch_size(case, batch_size):
    model, tasks, datasets, targets = case
    results = evaluate_model(model, tasks, streams(batch_size, **datasets), CPU).results
    assert list(results) == ["a", "b", "c"]  # the order of the tasks, not of the datasets' fields
    for name, result in results.items():
        loss, accuracy, f1, confusion, count = by_numpy(model.outputs[name], targets[name])
        assert result.loss == pytest.approx(loss, rel=1e-5)
        assert result.metrics["accuracy"] == pytest.approx(accuracy, rel=1e-6)
        assert result.metrics["f1"] == pytest.approx(f1, rel=1e-6)
        assert result.confusion.numpy().tolist() == confusion.tolist()
        assert result.count == count
        assert list(result.values) == ["loss", "accuracy", "f1"]


def test_results_of_batch_sizes_agree_to_the_last_digit_of_the_metrics(case):
    model, tasks, datasets, _ = case
    results = [evaluate_model(model, tasks, streams(batch_size, **datasets), CPU).results for batch_size in (1, 3, 100)]
    for other in results[1:]:
        for name in tasks:
            assert other[name].metrics == results[0][name].metrics
            assert other[name].loss == pytest.approx(results[0][name].loss, rel=1e-6)


def test_the_model_comes_back_in_the_mode_it_was_in(case):
    model, tasks, datasets, _ = case
    for mode in (True, False):
        model.train(mode)
        evaluate_model(model, tasks, streams(**datasets), CPU)
        assert model.training is mode


def test_no_task_is_computed_for_a_batch_without_its_labels(case):
    model, tasks, datasets, _ = case
    evaluate_model(model, tasks, streams(2, **datasets), CPU)  # eight rows at a time
    assert model.asked == [("b", "a"), ("a",), ("a",), ("a",), ("b", "a"), ("c",), ("c",)]


def test_a_split_without_a_label_gives_nan_and_no_confusion():
    labels = torch.full((9,), MISSING_CLASS)
    results = evaluate_model(Table({}), {"a": task("a")}, streams(one=({"a": "label"}, {"label": labels})), CPU).results
    assert (results["a"].count, results["a"].confusion) == (0, None)
    assert all(math.isnan(value) for value in results["a"].values.values())
    assert list(results["a"].values) == ["loss", "accuracy", "f1"]


def test_the_trivial_predictor_is_fitted_on_training_labels_and_measured_on_the_split():
    """Training labels 0, 0, 1 (and one missing): always class 0, with probabilities 2/3, 1/3 and 0.

    On the split 0, 1, 1, 0, –: accuracy 2/4; F1 of class 0 is 2·2/(4 + 2) = 2/3, of class 1 0: macro-F1 1/3; the loss
    is (2·ln(3/2) + 2·ln 3) / 4."""
    split = torch.tensor([0, 1, 1, 0, MISSING_CLASS])
    train = torch.tensor([0, 1, 0, MISSING_CLASS])
    targets = {"a": "label", "untrained": "label"}
    tasks = {name: task(name) for name in ("a", "untrained", "elsewhere")}
    outputs = {name: torch.zeros(5, 3) for name in tasks}
    data = streams(one=(targets, {"label": split}), other=({"elsewhere": "label"}, {"label": split}))
    constant = tasks["a"].trivial_outputs(tasks["a"].summarise(train))
    found = evaluate_model(Table(outputs), tasks, data, CPU, {"a": constant}).constant
    assert list(found) == ["a"]
    assert found["a"].metrics["accuracy"] == 0.5
    assert found["a"].metrics["f1"] == pytest.approx(1 / 3, rel=1e-6)
    assert found["a"].loss == pytest.approx((2 * math.log(1.5) + 2 * math.log(3)) / 4, rel=1e-4)
    assert found["a"].count == 4


def result(accuracy, count=10):
    return Result(0.5, {"accuracy": accuracy, "f1": 0.1}, None, count)


def test_skill_is_the_mean_gain_over_the_trivial_predictor():
    """(0.9 − 0.5)/(1 − 0.5) = 0.8 and (0.4 − 0.2)/(1 − 0.2) = 0.25: the mean is 0.525."""
    tasks = {"a": task("a"), "b": task("b")}
    baseline = {"a": result(0.5), "b": result(0.2)}
    assert skill(tasks, {"a": result(0.9), "b": result(0.4)}, baseline) == pytest.approx(0.525)
    assert skill(tasks, baseline, baseline) == 0
    assert skill(tasks, {"a": result(1.0), "b": result(1.0)}, baseline) == 1


def test_a_task_without_labels_is_left_out_of_the_skill():
    tasks = {"a": task("a"), "b": task("b")}
    results = {"a": result(0.9), "b": result(math.nan, count=0)}
    baseline = {"a": result(0.5), "b": result(math.nan, count=0)}
    assert skill(tasks, results, baseline) == pytest.approx(0.8)
    assert math.isnan(skill({"b": tasks["b"]}, results, baseline))


def test_one_bad_task_counts_as_minus_one_and_no_value_does_too():
    tasks, baseline = {"a": task("a"), "b": task("b")}, {"a": result(0.5), "b": result(0.98)}
    assert skill(tasks, {"a": result(0.9), "b": result(0.5)}, baseline) == pytest.approx((0.8 - 1) / 2)  # −24 unclipped
    assert skill(tasks, {"a": result(0.9), "b": result(math.nan)}, baseline) == pytest.approx((0.8 - 1) / 2)


def test_skill_of_trivial_outputs_is_zero_by_evaluation_too():
    labels = torch.tensor([0, 1, 1, 2, 1, 0])
    tasks = {"a": task("a")}
    data = streams(one=({"a": "label"}, {"label": labels}))
    constant = tasks["a"].trivial_outputs(tasks["a"].summarise(labels))
    found = evaluate_model(Table({"a": constant.expand(6, 3)}), tasks, data, CPU, {"a": constant})
    assert skill(tasks, found.results, found.constant) == 0
    assert found.results["a"].values == pytest.approx(found.constant["a"].values)


def test_values_are_flattened_under_the_tasks_names():
    assert flat({"a": result(0.9), "b": result(0.4)}) == {
        "a/loss": 0.5, "a/accuracy": 0.9, "a/f1": 0.1, "b/loss": 0.5, "b/accuracy": 0.4, "b/f1": 0.1,
    }  # fmt: skip


@pytest.mark.parametrize("value", [0.89, 0.9725, 1 / 3, 0.0, 1.0, 12345.678, 1e-9, math.nan])
def test_a_float32_prints_with_as_few_digits_as_stand_for_it(value):
    single = torch.tensor(value, dtype=torch.float32)
    found = shortest(single)
    if math.isnan(value):
        assert math.isnan(found)
    else:
        assert len(repr(found)) <= 13
        assert found == pytest.approx(single.item(), rel=1e-6)
    assert repr(shortest(torch.tensor(0.89))) == "0.89"


def test_bfloat16_is_used_where_it_is_asked_for():
    class Dtype(Table):
        def forward(self, inputs, tasks, boundary=False):
            self.dtype = nn.functional.linear(inputs.values, torch.ones(1, 1)).dtype
            return super().forward(inputs, tasks, boundary)

    data = streams(one=({"a": "label"}, {"label": torch.tensor([0, 1, 2])}))
    for bf16, dtype in ((False, torch.float32), (True, torch.bfloat16)):
        model = Dtype({"a": logits(3, 3)})
        evaluate_model(model, {"a": task("a")}, data, Arithmetic(torch.device("cpu"), bf16))
        assert model.dtype == dtype
