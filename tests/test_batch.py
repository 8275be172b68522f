import math

import torch

from mtl_cli.batch import MISSING_CLASS, Batch, Inputs, Sample, labelled, move


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
