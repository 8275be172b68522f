import pytest
import torch
from sklearn.metrics import f1_score

from mtl_cli.metrics.label_sets import LabelF1, MicroF1
from mtl_cli.metrics.stack_base import Stacked


def value(metric, said, true):
    for part in (slice(0, 7), slice(7, None)):
        metric.update(said[part], true[part])
    return metric.compute().item()


def test_they_are_those_of_scikit_learn_over_the_known_entries():
    said, true = torch.rand(60, 3), torch.randint(2, (60, 3))
    true[torch.rand(60, 3) < 0.2] = -1
    known, guess = true != -1, (said > 0.5).long()
    by_label = [f1_score(true[known[:, k], k], guess[known[:, k], k]) for k in range(3)]
    assert value(LabelF1(3), said, true) == pytest.approx(sum(by_label) / 3)
    assert value(MicroF1(3), said, true) == pytest.approx(f1_score(true[known], guess[known]))


def test_a_label_that_occurs_nowhere_counts_as_0():
    said, true = torch.tensor([[0.9, 0.1]] * 8), torch.tensor([[1, 0]] * 8)
    assert value(LabelF1(2), said, true) == 0.5
    assert value(MicroF1(2), torch.zeros(8, 2), torch.zeros(8, 2, dtype=torch.int64)) == 0.0


def test_of_several_tasks_each_has_its_value():
    said, true = torch.rand(60, 4, 3), torch.randint(2, (60, 4, 3)).float()
    true[torch.rand(60, 4, 3) < 0.2] = torch.nan
    for cls in (LabelF1, MicroF1):
        metric = Stacked(cls(3), 4)
        metric.update(said, true)
        alone = [value(cls(3), said[:, task], true[:, task]) for task in range(4)]
        assert metric.compute().tolist() == pytest.approx(alone)
