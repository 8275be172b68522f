import math

import torch

from mtl_cli.batch import (
    MISSING_CLASS,
    Batch,
    Inputs,
    Sample,
    Split,
    labelled,
    move,
    pad_sets,
    set_entries,
    set_labelled,
    sets_of,
)


def test_missing_is_the_class_that_torch_ignores_and_nan():
    assert torch.nn.CrossEntropyLoss().ignore_index == MISSING_CLASS
    assert labelled(torch.tensor([0, -100, 5, -1])).tolist() == [True, False, True, True]
    assert labelled(torch.tensor([0.0, math.nan, -100.0, math.inf])).tolist() == [True, False, True, True]
    assert labelled(torch.tensor([[1.0, math.nan], [math.nan, math.nan]])).tolist() == [[True, False], [False, False]]


def test_a_batch_names_its_tasks_and_counts_its_rows():
    targets = {"b": torch.zeros(3), "a": torch.zeros(3)}
    assert Batch(Inputs(torch.zeros(3, 2), "d"), targets, {"b": 1, "a": 3}).tasks == ("b", "a")
    assert Batch(Inputs(torch.zeros(3, 2), "d"), {}, {}).rows == 3
    assert Batch(Inputs({"x": torch.zeros(5, 2), "y": torch.zeros(5)}, "d"), {}, {}).rows == 5


def test_a_sample_is_pinned_with_every_tensor_in_it(monkeypatch):
    """As torch's DataLoader does it, on machines without a GPU too."""
    from torch.utils.data._utils.pin_memory import pin_memory

    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor, *device: tensor + 100)
    pinned = pin_memory(Sample(torch.zeros(2), {"label": torch.ones(2)}))
    assert pinned.inputs.tolist() == [100, 100]
    assert pinned.fields["label"].tolist() == [101, 101]
    assert pin_memory(Sample({"x": torch.zeros(1)}, {})).inputs["x"].tolist() == [100]


def test_inputs_move_whole_or_by_name():
    meta = torch.device("meta")
    moved = Inputs({"x": torch.zeros(2), "y": torch.zeros(2)}, "d").to(meta)
    assert moved.dataset == "d"
    assert [value.device for value in moved.values.values()] == [meta, meta]
    assert Inputs(torch.zeros(2), "d").to(meta).values.device == meta
    assert list(move({"x": torch.ones(1)}, torch.device("cpu"))) == ["x"]


def test_sets_come_back_as_they_were_and_an_empty_one_is_no_missing_label():
    rows = [torch.tensor([[1.0, 2.0]]), None, torch.empty(0, 2), torch.tensor([[3.0, 4.0], [5.0, 6.0]])]
    target = pad_sets(rows, (2,))
    assert target.shape == (4, 2, 2)
    assert set_labelled(target).tolist() == [True, False, True, True]
    assert set_entries(target).tolist() == [[True, False], [False, False], [False, False], [True, True]]
    found = sets_of(target)
    assert found[1] is None
    assert all(torch.equal(found[k], rows[k]) for k in (0, 2, 3))


def test_sets_of_whole_numbers_and_batches_of_empty_ones_are_told_apart_too():
    target = pad_sets([torch.tensor([7, 0]), None, torch.empty(0, dtype=torch.int64)], (), torch.int64)
    assert target.dtype == torch.int64
    assert set_labelled(target).tolist() == [True, False, True]
    assert [None if row is None else row.tolist() for row in sets_of(target)] == [[7, 0], None, []]
    empty = pad_sets([None, torch.empty(0, 3)], (3,))
    assert empty.shape == (2, 1, 3)
    assert [None if row is None else len(row) for row in sets_of(empty)] == [None, 0]


def test_labels_are_swept_in_order_in_parts_that_fit_in_memory(monkeypatch):
    class Lazy(Split):
        asked = 0

        def __len__(self):
            return 200

        def __getitems__(self, indices):
            self.asked = max(self.asked, len(indices))
            return Sample(indices, {"mask": indices.reshape(-1, 1).expand(-1, 100), "class": indices % 3})

    monkeypatch.setattr("mtl_cli.batch.split.CHUNK", 20 * 800)  # 20 masks of 100 whole numbers
    rows = Lazy()
    parts = list(rows.sweep_fields(["mask"]))
    assert torch.cat([part["mask"][:, 0] for part in parts]).tolist() == list(range(200))
    assert rows.asked == 20
    assert rows.classes("class").tolist() == [k % 3 for k in range(200)]
