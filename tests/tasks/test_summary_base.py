import math

import pytest
import torch

from mtl_cli.batch import MISSING_CLASS, FieldSpec
from mtl_cli.tasks import summary_base
from mtl_cli.tasks.summary_base import ClassCounts, LabelSummary, Medians, Totals
from tests.tasks._inputs import KINDS, make, targets, with_missing


@pytest.mark.parametrize("kind", KINDS)
def test_a_summary_does_not_depend_on_how_its_rows_are_divided(kind):
    task, labels = make(kind), with_missing(targets(kind, 300))
    whole = task.summarise(labels)
    parts = task.summary_class(task.field)
    for part in labels.split([1, 99, 150, 50]):
        parts.add(part)
    assert (parts.num_rows, parts.num_labelled) == (300, int(task.labelled_rows(labels).sum()))
    assert torch.allclose(task.trivial_outputs(parts), task.trivial_outputs(whole), rtol=1e-6, equal_nan=True)


@pytest.mark.parametrize("kind", KINDS)
def test_a_summary_comes_back_from_its_state(kind):
    task = make(kind)
    before = task.summarise(with_missing(targets(kind, 50)))
    after = task.summary_class.of(task.field, before.state())
    assert torch.equal(task.trivial_outputs(after), task.trivial_outputs(before))
    assert after.spec() == before.spec()
    assert after.fully_labelled is before.fully_labelled is False


@pytest.mark.parametrize(
    "change",
    [
        {"num_rows": -1},
        {"num_rows": "many"},
        {"histogram": torch.zeros(2, dtype=torch.int64)},
        {"histogram": torch.zeros(3)},
        {"histogram": [1, 2, 3]},
        {"more": 1},
    ],
)
def test_nonsense_in_a_state_is_refused(change):
    state = ClassCounts(FieldSpec("class", 3)).state()
    with pytest.raises(ValueError, match=r"\w"):
        ClassCounts.of(FieldSpec("class", 3), state | change)
    with pytest.raises(ValueError, match="holds"):
        ClassCounts.of(FieldSpec("class", 3), {})


def test_classes_are_counted_wherever_they_stand():
    """Of two maps of classes: 0, 0, 2, – and –, –, –, 1."""
    counts = ClassCounts(FieldSpec("mask", 3))
    counts.add(torch.tensor([[[0, 0], [2, MISSING_CLASS]], [[MISSING_CLASS] * 2, [MISSING_CLASS, 1]]]))
    assert counts.histogram.tolist() == [2, 1, 1]
    assert counts.spec().counts == (2, 1, 1)
    assert counts.fully_labelled
    assert counts.log_frequencies.exp().tolist() == pytest.approx([0.5, 0.25, 0.25], abs=1e-5)


def test_a_class_that_does_not_exist_is_a_problem():
    field = FieldSpec("class", 3)
    assert ClassCounts.problem(field, torch.tensor([0, 2, MISSING_CLASS])) is None
    assert ClassCounts.problem(field, torch.tensor([0, 3])) == "holds the class 3, but has 3 classes"
    assert "the class -1" in ClassCounts.problem(field, torch.tensor([-1]))


def test_means_of_large_numbers_lose_no_digits():
    totals = Totals(FieldSpec("real", shape=(2,)))
    for start in range(0, 1000, 100):
        rows = torch.arange(start, start + 100, dtype=torch.float32)
        totals.add(torch.stack([2.0**23 + rows, torch.where(rows < 500, math.nan, rows)], dim=1))
    assert totals.mean.tolist() == [2.0**23 + 499.5, 749.5]
    assert totals.count.tolist() == [1000, 500]
    assert not LabelSummary(FieldSpec("real")).fully_labelled or totals.fully_labelled


def test_the_median_is_exact_up_to_a_number_of_labels_and_close_beyond(monkeypatch):
    rows = torch.randperm(4001, generator=torch.Generator().manual_seed(0)).float()

    def median():
        summary = Medians(FieldSpec("real"))
        for part in rows.split(501):
            summary.add(part)
        return float(summary.medians)

    assert median() == 2000.0
    monkeypatch.setattr(summary_base, "KEPT", 1000)
    assert median() == median()
    assert median() == pytest.approx(2000, abs=200)  # the standard error of a median of 1,000 is 63
