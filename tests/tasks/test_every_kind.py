"""What holds for every kind of task."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from mtl_cli import tasks
from mtl_cli.batch import FieldSpec
from mtl_cli.report.tables import evaluation_table
from mtl_cli.tasks.base import Task
from mtl_cli.training.meters import Meter
from mtl_cli.training.reading import per_row
from tests.tasks._inputs import CLASSES, FIELDS, KINDS, make, outputs_for, targets, with_missing


def test_every_class_of_the_package_is_tried_here():
    """Found in another way than the inputs find them: every file of the folder names its kinds in a `class` line."""
    sources = [path.read_text(encoding="utf-8") for path in Path(tasks.__path__[0]).glob("*.py")]
    kinds = {
        name
        for source in sources
        for name in re.findall(r"^class (\w+)\(\w*(?:Task|Regression|Classification)\):", source, re.M)
    }
    assert kinds == {cls.__name__ for cls, _ in CLASSES.values()}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", [0.0, 1.0, 50.0, 1e4])
def test_loss_and_gradient_are_finite_for_extreme_outputs_and_missing_labels(kind, scale):
    outputs = (outputs_for(kind) * scale).requires_grad_()
    for target in (targets(kind), with_missing(targets(kind))):
        outputs.grad = None
        loss = make(kind).loss(outputs, target)
        loss.backward()
        assert loss.isfinite()
        assert outputs.grad.isfinite().all()


@pytest.mark.parametrize("kind", KINDS)
def test_rows_without_a_label_change_nothing(kind):
    task, target, outputs = make(kind), with_missing(targets(kind)), outputs_for(kind)
    kept = task.labelled_rows(target)
    assert 35 <= int(kept.sum()) <= 37
    loss = task.loss(outputs, target)
    assert task.loss(outputs[kept], target[kept]).item() == pytest.approx(loss.item(), rel=1e-6)
    other = torch.where(kept.reshape(-1, *[1] * (outputs.ndim - 1)), outputs, 1e3)
    assert task.loss(other, target).item() == pytest.approx(loss.item(), rel=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_no_label_at_all_has_loss_zero_and_no_gradient(kind):
    target = targets(kind, 6)
    target[:] = torch.nan if target.is_floating_point() else -100
    outputs = outputs_for(kind, 6).requires_grad_()
    if kind in ("classification", "rotation"):
        pytest.skip("torch's cross-entropy has no mean of nothing; such a batch is left out before")
    loss = make(kind).loss(outputs, target)
    loss.backward()
    assert loss.item() == 0.0
    assert not outputs.grad.any()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if CLASSES[kind][0].adds_up])
def test_parts_of_a_batch_add_up_to_the_whole_by_their_labels(kind):
    task, target, outputs = make(kind), with_missing(targets(kind)), outputs_for(kind)
    counts = per_row(task.label_marks(target))
    total = int(counts.sum())
    assert total == task.labelled_entries(target)
    parts = [slice(0, 7), slice(7, 25), slice(25, 40)]
    summed = sum(task.loss(outputs[part], target[part]) * int(counts[part].sum()) / total for part in parts)
    assert summed.item() == pytest.approx(task.loss(outputs, target).item(), rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_the_trivial_predictor_is_the_best_constant_for_the_loss(kind):
    task, target = make(kind), with_missing(targets(kind, 300))
    best = task.trivial_outputs(task.summarise(target))
    assert best.shape == (task.num_outputs,)
    loss = task.loss(task.repeated(best, target), target)
    for _ in range(20):
        other = best + 0.2 * torch.randn(task.num_outputs)
        worse = task.loss(task.repeated(other, target), target)
        assert worse > loss - (0.01 if kind == "huber_regression" else 1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_the_trivial_predictor_of_no_labels_is_finite(kind):
    target = targets(kind, 4)
    target[:] = torch.nan if target.is_floating_point() else -100
    assert make(kind).trivial_outputs(make(kind).summarise(target)).isfinite().all()


@pytest.mark.parametrize("kind", KINDS)
def test_metrics_come_out_as_they_are_described_whatever_the_batches(kind):
    task, target, outputs = make(kind), with_missing(targets(kind, 120)), outputs_for(kind, 120)
    values = []
    for size in (120, 17):
        meter = Meter(task, torch.device("cpu"))
        for part, truth in zip(outputs.split(size), target.split(size), strict=True):
            meter.update(part, truth, task.labelled_entries(truth))
        values.append(meter.result())
    assert set(values[0].metrics) == set(task.metric_info)
    assert task.primary in task.metric_info
    assert values[0].metrics == pytest.approx(values[1].metrics, rel=1e-5)
    assert all(math.isfinite(value) for value in values[0].metrics.values())


@pytest.mark.parametrize("kind", KINDS)
def test_a_split_of_one_row_gives_values_or_nan_without_a_warning(kind):
    task, target = make(kind), targets(kind, 1)
    meter = Meter(task, torch.device("cpu"))
    meter.update(outputs_for(kind, 1), target, task.labelled_entries(target))
    assert set(meter.result().metrics) == set(task.metric_info)


@pytest.mark.parametrize("kind", KINDS)
def test_decoded_columns_are_arrays_named_after_the_task(kind):
    columns = make(kind).decode(outputs_for(kind, 7))
    assert columns or make(kind).writes_files
    for name, values in columns.items():
        assert name.startswith("t_")
        assert isinstance(values, np.ndarray)
        assert values.shape == (7,)
    probabilities = [values for name, values in columns.items() if "_probability" in name]
    for values in probabilities:
        assert ((values >= 0) & (values <= 1)).all()
    if FIELDS[kind].kind in ("class", "ordinal") and len(probabilities) == FIELDS[kind].num_classes:
        assert np.allclose(np.sum(probabilities, axis=0), 1.0, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_field_of_another_kind_is_refused_by_name(kind):
    wrong = FieldSpec("smell", 2)
    with pytest.raises(ValueError, match=r"tasks\.t\.target is 'y', a field of kind"):
        make(kind, field=wrong)


@pytest.mark.parametrize(
    ("kind", "row", "message"),
    [
        ("multilabel", [0.0, 2.0, torch.nan], "holds 2;"),
        ("regression", [1.0, torch.inf], "infinite"),
        ("count", -1.0, "holds -1;"),
        ("count", torch.inf, "holds inf;"),
        ("survival", [-2.0, 1.0], "time -2"),
        ("survival", [2.0, 3.0], "event 3"),
        ("ranking", [4.0, 1.0], "relevance 4"),
        ("ranking", [1.0, torch.nan], "no group"),
        ("segmentation", 3, "class 3, but has 3 classes"),
        ("multilabel_segmentation", 0.5, "holds 0.5;"),
        ("depth", torch.inf, "infinite"),
        ("normals", 1.0, "a vector of length 1.73"),
    ],
)
def test_labels_that_a_kind_cannot_use_are_told(kind, row, message):
    task, good = make(kind), targets(kind)
    assert task.label_problem(with_missing(good)) is None
    bad = good.clone()
    bad[2] = torch.tensor(row)
    assert message in task.label_problem(bad)


def test_fields_without_statistics_still_work():
    for kind in KINDS:
        spec = FIELDS[kind]
        bare = FieldSpec(spec.kind, spec.num_classes, shape=spec.shape)
        task = make(kind, field=bare)
        assert task.loss(0 * outputs_for(kind), targets(kind)).isfinite()


SAME = {"multilabel": [0.0, 1.0, 0.0], "count": 0.0, "survival": [3.0, 0.0], "ranking": [1.0, 2.0]}
"""A label by kind of field, where some are harder than others; of other fields any."""


@pytest.mark.parametrize("kind", KINDS)
def test_a_split_where_all_labels_are_the_same_is_no_trouble(kind):
    task, label = make(kind), torch.as_tensor(SAME.get(FIELDS[kind].kind, targets(kind, 1)[0]))
    target = label.expand(30, *label.shape).clone()
    meter = Meter(task, torch.device("cpu"))
    meter.update(outputs_for(kind, 30), target, task.labelled_entries(target))
    result = meter.result()
    undefined = {name for name, value in result.metrics.items() if math.isnan(value)}
    assert undefined == {name for name, info in task.metric_info.items() if info.needs_different_labels}
    assert "–" in evaluation_table("val", {"t": result}) or not undefined
    trivial = Meter(task, torch.device("cpu"))
    constant = task.repeated(task.trivial_outputs(task.summarise(target)), target)
    trivial.update(constant, target, task.labelled_entries(target))
    assert trivial.result().loss <= result.loss + 1e-6


@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_of_rows_without_a_missing_label_is_the_same_to_the_bit(kind):
    task, target = make(kind), targets(kind)
    number = task.labels_of(len(target))
    assert number in (None, task.labelled_entries(target))
    found, drawn = [], outputs_for(kind)
    for loss in (task.loss, task.full_loss):
        outputs = drawn.clone().requires_grad_()
        value = loss(outputs, target)
        value.backward()
        found.append((value.detach(), outputs.grad))
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])


def test_a_class_with_a_loss_of_its_own_does_not_take_the_short_one_of_its_parent():
    kinds = [cls for cls, _ in CLASSES.values() if cls.full_loss is not Task.full_loss]
    assert len(kinds) > 3
    for parent in kinds:
        child = type("Child", (parent,), {"loss": lambda self, outputs, target: outputs.sum()})
        assert child.full_loss is Task.full_loss
        both = {"loss": child.loss, "full_loss": lambda self, outputs, target: outputs.sum()}
        assert type("Child", (parent,), both).full_loss is both["full_loss"]
        assert type("Grandchild", (child,), {}).full_loss is Task.full_loss
