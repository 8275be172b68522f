"""Weights of rows in the loss, and of classes by their names."""

import numpy as np
import pytest
import torch

from mtl_cli import cli
from mtl_cli.batch import FieldSpec, Sample, one_row, stacked
from mtl_cli.errors import UserError
from mtl_cli.tables.declared_targets import parse_target
from mtl_cli.tasks.base import Task
from mtl_cli.tasks.class_base import weights_by_class
from mtl_cli.tasks.segmentation import Segmentation
from tests.tables._files import arrays, everything, tabular, write_csv
from tests.tasks._inputs import CLASSES, FIELDS, KINDS, make, targets, with_missing

WEIGHTED = [kind for kind in KINDS if CLASSES[kind][0].takes_weights()]
assert len(WEIGHTED) >= 8


def outputs_for(task, rows, seed=0):
    return torch.randn(rows, task.num_outputs, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kind", WEIGHTED)
def test_weights_of_1_change_nothing(kind):
    task, target = make(kind), with_missing(targets(kind))
    outputs = outputs_for(task, len(target))
    plain = task.loss(outputs, target)
    assert torch.allclose(task.loss_of(outputs, target, torch.ones(len(target))), plain, rtol=1e-6)
    assert torch.equal(task.loss_of(outputs, target, None), plain)


@pytest.mark.parametrize("kind", WEIGHTED)
def test_a_whole_weight_is_that_many_equal_rows(kind):
    task, target = make(kind), targets(kind)
    outputs, times = outputs_for(task, len(target)), torch.randint(0, 4, (len(target),))
    found = task.loss_of(outputs, target, times.float())
    again = task.loss(outputs.repeat_interleave(times, dim=0), target.repeat_interleave(times, dim=0))
    if kind == "survival":  # the mean over events of each
        events = target[:, 1] > 0.5
        scale = events.sum() / events.repeat_interleave(times).sum()
    else:
        scale = len(target) / times.sum()
    assert found.item() == pytest.approx((again / scale).item(), rel=1e-4)


@pytest.mark.parametrize("kind", [kind for kind in WEIGHTED if CLASSES[kind][0].adds_up])
def test_parts_of_a_batch_add_up(kind):
    task, target, weights = make(kind), with_missing(targets(kind)), torch.rand(40) * 3
    outputs, whole = outputs_for(task, 40), 0.0
    for start in (0, 15, 20):
        rows = slice(start, {0: 15, 15: 20, 20: 40}[start])
        share = task.labelled_entries(target[rows]) / task.labelled_entries(target)
        whole += share * task.loss_of(outputs[rows], target[rows], weights[rows])
    assert float(whole) == pytest.approx(task.loss_of(outputs, target, weights).item(), rel=1e-5)


def test_a_kind_that_takes_no_weights_says_so():
    assert not Segmentation.takes_weights()
    kind = next(kind for kind, (cls, _) in CLASSES.items() if not cls.takes_weights())
    field = FieldSpec(**{**vars(FIELDS[kind]), "weights": "w"})
    with pytest.raises(ValueError, match=r"tasks.t.weight_column gives rows weights.*~tasks.t.weight_column"):
        make(kind, field=field)
    assert not Task.takes_weights()


def test_a_class_that_changes_the_loss_takes_no_weights_unless_it_says_how():
    class Mine(CLASSES["binary"][0]):
        def loss(self, outputs, target):
            return super().loss(outputs, target) * 2

    assert CLASSES["binary"][0].takes_weights()
    assert not Mine.takes_weights()


def body(count=120):
    stream = np.random.RandomState(0)
    return [[round(x, 4), k % 2, k % 3 / 2] for k, x in enumerate(stream.normal(size=count))]


def weighted(**changes):
    return {"y": {"kind": "binary", "column": "y", "weight_column": "w", **changes}}


def test_weights_are_1_on_average_over_the_training_labels_and_no_input(tmp_path):
    path = write_csv(tmp_path / "a.csv", ["x", "y", "w"], body())
    np.savez(tmp_path / "a.npz", **dict(zip(["x", "y", "w"], np.array(body()).T, strict=True)))
    for source in (tabular(path, targets=weighted()), arrays(tmp_path / "a.npz", targets=weighted())):
        name = source.field_specs["y"].weights
        train = everything(source, "train").fields[name]
        assert train.mean().item() == pytest.approx(1.0, rel=1e-5)
        assert len(torch.unique(train)) == 3
    assert everything(tabular(path, targets=weighted()), "train").inputs["numeric"].shape[1] == 1


def test_rows_that_are_augmented_keep_their_weights():
    sample = Sample(torch.randn(3, 2), {"y": torch.tensor([0, 1, 0]), "y weights": torch.tensor([0.5, 1.0, 1.5])})
    specs = {"y": FieldSpec("class", 2, weights="y weights")}
    again = stacked([one_row(sample, place, specs) for place in range(3)], specs)
    assert torch.equal(again.fields["y weights"], sample.fields["y weights"])


def test_weights_survive_a_checkpoint_and_a_file_without_them_is_told(tmp_path, caplog):
    path = write_csv(tmp_path / "a.csv", ["x", "y", "w"], body())
    state = tabular(path, targets=weighted()).state_dict()
    other = write_csv(tmp_path / "b.csv", ["x", "y"], [row[:2] for row in body(30)])
    source = tabular(path, opened=False, targets=weighted(), test_path=str(other))
    source.load_state_dict(state)
    source.open()
    name = source.field_specs["y"].weights
    assert everything(source, "train").fields[name].mean().item() == pytest.approx(1.0, rel=0.1)
    assert everything(source, "test").fields[name].tolist() == [1.0] * 30
    assert "b.csv has no column w: every row of 'y' has weight 1" in caplog.text


@pytest.mark.parametrize(
    ("cell", "message"),
    [(None, "row 3, column 'w': no weight"), (-1, "row 3, column 'w': the weight -1. A weight is 0 or more")],
)
def test_a_row_without_a_weight_is_told(tmp_path, cell, message):
    rows = body()
    rows[2][2] = cell
    with pytest.raises(UserError, match=message):
        tabular(write_csv(tmp_path / "a.csv", ["x", "y", "w"], rows), targets=weighted())


def test_weights_that_cannot_be():
    with pytest.raises(UserError, match="weight_column is 'y'; it names a column of numbers that is not a label"):
        parse_target("y", {"kind": "binary", "column": "y", "weight_column": "y"})


def test_rows_of_weight_0_are_not_learnt(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [[round(x, 4), int(x > 0), 1] for x in np.random.RandomState(0).normal(size=200)]
    wrong = [[x, 1 - y, 0] for x, y, _ in rows[:100]]
    write_csv(tmp_path / "a.csv", ["x", "y", "w"], [*wrong, *rows])
    assert cli.main_init(["input=a.csv", "target=[y]", "output=conf", "overwrite=true"]) == 0
    words = ["--config-dir", "conf", "task=y", "backbone=tabular", "+tasks.y.weight_column=w", "quiet=true"]
    words += ["trainer.precision=fp32", "backbone.dropout=0", "trainer.max_epochs=20", "optimizer.lr=0.01"]
    assert cli.main([*words, "hydra.run.dir=run"]) == 0
    assert cli.main_eval(["checkpoint=run", "input=a.csv", "quiet=true"]) == 0
    with (tmp_path / "b.csv").open("w") as file:
        file.write("x,y\n" + "".join(f"{x},{y}\n" for x, y, _ in rows))
    assert cli.main_predict(["checkpoint=run", "input=b.csv", "output=o.csv", "quiet=true"]) == 0
    lines = (tmp_path / "o.csv").read_text().splitlines()[1:]
    assert np.mean([line.split(",")[1] == line.split(",")[2] for line in lines]) > 0.95


def test_classes_have_weights_by_name():
    field = FieldSpec("class", 3, ("cat", "dog", "1"))
    assert weights_by_class({"cat": 2, 1: 0.5}, field, "tasks.y").tolist() == [2.0, 1.0, 0.5]
    with pytest.raises(ValueError, match=r"tasks.y.class_weights names 'cot', which is not a class.*Classes: cat, dog"):
        weights_by_class({"cot": 2}, field, "tasks.y")
    with pytest.raises(ValueError, match="give a number ≥ 0"):
        weights_by_class({"cat": -1}, field, "tasks.y")
