"""Texts to be written: the loss against torch's, missing and empty texts, what is written, what is refused."""

import importlib.util
import math

import pytest
import torch
from torch.nn import functional as F

from mtl_cli.batch import MISSING_CLASS, NO_CLASS
from mtl_cli.tasks.seq2seq import METRICS, PieceCounts
from mtl_cli.training.meters import Meter
from mtl_cli.training.reading import per_row
from tests.tasks._inputs import FIELD_OF, make

V, END = 6, 2
TARGET = torch.tensor([
    [3, 4, 5, END], [4, END, NO_CLASS, NO_CLASS], [MISSING_CLASS] * 4, [END, NO_CLASS, NO_CLASS, NO_CLASS],
    [3, V + 65, 3, END], [4, END, NO_CLASS, NO_CLASS],
])  # fmt: skip
FLAT = torch.where(TARGET < 0, -100, torch.where(TARGET >= V, 1, TARGET))


def task(**changes):
    return make("seq2_seq", **changes)


def logits():
    return torch.randn(6, 4, V, generator=torch.Generator().manual_seed(0)) * 2


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_is_the_mean_cross_entropy_of_pieces_of_which_the_end_is_one(smoothing):
    wanted = F.cross_entropy(logits().flatten(0, 1), FLAT.flatten(), label_smoothing=smoothing)
    found = task(label_smoothing=smoothing).loss({"logits": logits()}, TARGET)
    assert found.item() == pytest.approx(wanted.item(), rel=1e-6)


def test_no_text_at_all_has_loss_zero_and_weights_of_rows_weigh_their_pieces():
    own = task()
    given = logits().requires_grad_()
    nothing = own.loss({"logits": given}, torch.full((6, 4), MISSING_CLASS))
    nothing.backward()
    assert nothing.item() == 0.0
    assert not given.grad.any()
    weights = torch.tensor([2.0, 1.0, 9.0, 1.0, 0.0, 1.0])
    each = F.cross_entropy(logits().flatten(0, 1), FLAT.flatten(), reduction="none").view(6, 4)
    wanted = (each * weights[:, None]).sum() / (FLAT != -100).sum()
    assert own.loss_of({"logits": logits()}, TARGET, weights).item() == pytest.approx(wanted.item(), rel=1e-6)


def test_labels_are_pieces_and_parts_of_a_batch_add_up_by_them():
    own = task()
    assert per_row(own.label_marks(TARGET)).tolist() == [4, 2, 0, 1, 4, 2]
    assert own.labelled_rows(TARGET).tolist() == [True, True, False, True, True, True]
    parts = [(slice(0, 2), 6), (slice(2, 6), 7)]
    summed = sum(own.loss({"logits": logits()[part]}, TARGET[part]) * count / 13 for part, count in parts)
    assert summed.item() == pytest.approx(own.loss({"logits": logits()}, TARGET).item(), rel=1e-6)


def test_the_trivial_predictor_knows_how_often_pieces_are_and_writes_the_most_frequent_text():
    own = task(metrics=["exact_match", "token_accuracy"])
    summary = own.summarise(TARGET)
    again = PieceCounts.of(FIELD_OF["pieces"], summary.state())
    assert again.common.tolist() == summary.common.tolist() == [4, END, 0, 0]
    trivial = own.repeated(own.trivial_outputs(again), TARGET)
    counts = torch.bincount(FLAT[FLAT != -100], minlength=V).float()
    entropy = -(counts / 13 * (counts / 13).clamp(min=1e-9).log()).sum()
    assert own.loss(trivial, TARGET).item() == pytest.approx(entropy.item(), abs=1e-4)
    meter = Meter(own, torch.device("cpu"))
    meter.update(trivial, TARGET, 13)
    assert meter.result().metrics["exact_match"] == pytest.approx(2 / 5)
    assert math.isfinite(meter.result().metrics["token_accuracy"])


def test_texts_and_their_probabilities_are_decoded_and_the_end_is_where_they_end():
    pieces = torch.tensor([[3, 4, END, 0], [END, 0, 0, 0], [5, 5, 5, 5]])
    columns = task().decode({"pieces": pieces, "log_probability": torch.tensor([-3.0, -0.5, -8.0])})
    assert columns["t_prediction"].tolist() == ["ab", "", "ccc" + "c"]
    assert columns["t_probability"] == pytest.approx([math.exp(-1), math.exp(-0.5), math.exp(-2)])
    none = task().columns_of_no_rows()
    assert {name: (len(values), values.dtype) for name, values in none.items()} == {
        name: (0, values.dtype) for name, values in columns.items()
    }
    truth, shown = task().shown(TARGET[4:5], {"pieces": pieces[:1], "log_probability": torch.zeros(1)})
    assert (truth.text, shown.text) == ("aAa", "ab")


def test_metrics_are_named_in_order_and_what_is_not_one_is_refused(monkeypatch):
    assert task(metrics=["token_accuracy", "exact_match"]).primary == "token_accuracy"
    for wrong in ([], ["exact_match"] * 2, ["rouge"]):
        with pytest.raises(ValueError, match=r"tasks\.t\.metrics"):
            task(metrics=wrong)
    pytest.importorskip("sacrebleu", reason="needs sacrebleu (the extra translation)")
    assert set(task(metrics=list(METRICS)).metrics()) == set(METRICS)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'mtl-cli\[translation\]'.*metrics=\[exact_match\]"):
        task(metrics=["chrf"])
