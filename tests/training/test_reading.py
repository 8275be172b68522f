"""Augmentation: a function of (seed, dataset, draw, place) alone, and the labels are counted after it."""

from typing import ClassVar

import pytest
import torch
from torch import nn

from mtl_cli.batch import MISSING_CLASS, FieldSpec, Sample, Split, pad_sets, sets_of
from mtl_cli.datasets.base import Augmentation
from mtl_cli.training.bad_rows import bad_rows
from mtl_cli.training.loading import Stream
from mtl_cli.training.order import Order

CPU = torch.device("cpu")
SPECS = {
    "label": FieldSpec("class", 3),
    "boxes": FieldSpec("boxes", shape=(2,), varying=True),
    "turn": FieldSpec("class", 4),
}


class Drawn(Split):
    """Lazy rows: an image [1, 2, 2] that tells the row's number k, a label and k mod 3 boxes, in row 4 not labelled."""

    def __init__(self, size=15):
        self.size, self.read = size, []

    def __len__(self):
        return self.size

    def __getitems__(self, indices):
        self.read.append(indices.tolist())
        images = indices.float().reshape(-1, 1, 1, 1) + torch.arange(4.0).reshape(1, 1, 2, 2) / 10
        boxes = [None if k == 4 else torch.full((k % 3, 2), float(k)) for k in indices.tolist()]
        return Sample(images, {"label": indices % 3, "boxes": pad_sets(boxes, (2,))})


class Turn(Augmentation):
    """Turns an image by a random number of quarters, and sometimes loses its label and one box."""

    adds: ClassVar = {"turn": SPECS["turn"]}
    keeps_labels = False

    def __call__(self, row):
        turn = torch.randint(4, ())
        label = row.fields["label"] if torch.rand(()) < 0.5 else torch.tensor(MISSING_CLASS)
        fields = {"label": label, "turn": turn}
        if "boxes" in row.fields:
            fields["boxes"] = row.fields["boxes"][: int(turn)]
        return Sample(row.inputs.rot90(int(turn), (1, 2)), fields)


def boxes_labelled(target):
    return torch.tensor([row is not None for row in sets_of(target)])


def stream(augmentation=None, workers=0, targets=None, seed=0, size=15):
    targets = targets or {"a": "label", "b": "boxes", "c": "turn"}
    targets = {task: field for task, field in targets.items() if augmentation or field != "turn"}
    order = Order(size, 5, "drawn", seed)
    return Stream(Drawn(size), "drawn", targets, order, CPU, workers, {"b": boxes_labelled}, augmentation, SPECS)


def same(one, other):
    assert one.counts == other.counts
    assert torch.equal(one.inputs.values, other.inputs.values)
    assert one.targets.keys() == other.targets.keys()
    assert all(torch.equal(target, other.targets[task]) or task == "b" for task, target in one.targets.items())
    if "b" in one.targets:
        pairs = zip(sets_of(one.targets["b"]), sets_of(other.targets["b"]), strict=True)
        assert all((a is None) is (b is None) and (a is None or torch.equal(a, b)) for a, b in pairs)


@pytest.mark.parametrize("workers", [1, 2])
def test_augmented_batches_depend_on_the_draw_alone(workers):
    reference, other = stream(Turn()), stream(Turn(), workers)
    batches = [reference.batches(draw)[0] for draw in range(8)]
    for draw in (0, 1, 2, 5, 6, 3):  # a resumed run starts anywhere
        same(other.batches(draw)[0], batches[draw])
    other.close()
    again = stream(Turn()).reader.draw(1, reference.order.rows(0)).inputs
    assert not torch.equal(batches[0].inputs.values, again), "the same rows are changed otherwise in another draw"


def test_the_random_stream_of_the_run_is_left_as_it_was():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    stream(Turn()).batches(0)
    assert torch.equal(torch.rand(1), expected)


def test_inputs_and_fields_are_changed_together_and_labels_counted_afterwards():
    data = stream(Turn())
    turns = []
    for draw in range(12):
        (batch,) = data.batches(draw)
        rows = data.order.rows(draw)
        expected = {
            "a": int((batch.targets["a"] != MISSING_CLASS).sum()) if "a" in batch.targets else 0,
            "b": sum(row != 4 for row in rows.tolist()),
            "c": len(rows),
        }
        assert dict(batch.counts) == {task: count for task, count in expected.items() if count}
        plain = Drawn().__getitems__(rows)
        for place, turn in enumerate(batch.targets["c"].tolist()):
            assert torch.equal(batch.inputs.values[place], plain.inputs[place].rot90(turn, (1, 2)))
            boxes = sets_of(batch.targets["b"])[place]
            whole = sets_of(plain.fields["boxes"])[place]
            assert (boxes is None) is (whole is None)
            assert boxes is None or len(boxes) == min(turn, len(whole))
        turns += batch.targets["c"].tolist()
    assert set(turns) == {0, 1, 2, 3}


def test_an_evaluation_is_not_augmented_but_for_the_fields_that_are_added():
    data = stream(Turn())
    sweeps = [list(data.sweep()) for _ in range(2)]
    for one, other in zip(*sweeps, strict=True):
        same(one, other)
    plain = [batch for batch in sweeps[0] if "c" not in batch.targets]
    turned = [batch for batch in sweeps[0] if "c" in batch.targets]
    assert sum(batch.rows for batch in plain) == sum(batch.rows for batch in turned) == 15
    assert torch.cat([batch.targets["a"] for batch in plain]).tolist() == [k % 3 for k in range(15)]
    assert all(batch.tasks == ("c",) for batch in turned)
    images = torch.cat([batch.inputs.values for batch in turned])
    for row, turn in enumerate(torch.cat([batch.targets["c"] for batch in turned]).tolist()):
        assert torch.equal(images[row], Drawn().__getitems__(torch.tensor([row])).inputs[0].rot90(turn, (1, 2)))


def test_lazy_rows_are_read_once_per_draw_and_their_labels_counted_with_them():
    data = stream()
    assert data.rows.read == []
    (batch,) = data.batches(0)
    assert data.rows.read == [data.order.rows(0).tolist()]
    rows = data.order.rows(0).tolist()
    assert batch.counts == {"a": 5, "b": sum(row != 4 for row in rows)}
    parts = stream().batches(0, parts=2)
    assert [part.rows for part in parts] == [2, 3]
    assert sum(part.counts.get("b", 0) for part in parts) == batch.counts["b"]


def test_a_step_is_looked_up_with_its_own_augmentation():
    class Poison(Turn):
        def __call__(self, row):
            bad = torch.rand(()) < 0.3
            return Sample(
                torch.full_like(row.inputs, torch.inf) if bad else row.inputs, {**row.fields, "turn": bad.long()}
            )

    data = stream(Poison())
    (batch,) = data.batches(2)
    wrong = ~batch.inputs.values.isfinite().flatten(1).all(dim=1)
    found = bad_rows({"drawn": data}, {"drawn": 2}, 1)["drawn"]
    assert found.inputs == data.order.rows(2)[wrong].tolist()
    assert found.targets == []


def test_a_batch_without_augmentation_makes_no_generator(monkeypatch):
    monkeypatch.setattr("mtl_cli.training.reading.seeded", nn.Module)
    assert stream().batches(0)[0].rows == 5
