import pytest
import torch

from mtl_cli.answers.runs import MERGINGS
from mtl_cli.merging.methods import METHODS, direction, elected_sign, moved, task_arithmetic, ties, trim


def vector(*values):
    return torch.tensor(values, dtype=torch.float64)


def test_the_methods_are_those_that_reports_know():
    assert tuple(METHODS) == MERGINGS


def test_task_arithmetic_is_the_sum():
    assert task_arithmetic([vector(1, -2, 0), vector(3, 1, 5)]).tolist() == [4, -1, 5]


def test_trimming_keeps_the_largest_magnitudes():
    assert trim(vector(1, -5, 2, 4, -3), 0.4).tolist() == [0, -5, 0, 4, 0]
    assert trim(vector(2, -2, 2), 0.34).tolist() == [2, 0, 0]
    assert trim(vector(2, -3), 0.01).tolist() == [0, -3]


def test_the_sign_of_the_larger_total_is_elected():
    assert elected_sign(torch.stack([vector(3, 1, 2), vector(-1, -4, -2)])).tolist() == [1, -1, 0]


def test_ties_by_hand():
    # trimmed to three of five: [4, -3, 0, 0, 2], [-1, -5, 0, 0, 3], [6, 1, 0, -2, 0]
    vectors = [vector(4, -3, 0.5, 0.1, 2), vector(-1, -5, 0.5, 0.1, 3), vector(6, 1, 0.5, -2, 0.1)]
    # sums [9, -7, 0, -2, 5]: (4 + 6) / 2, (-3 - 5) / 2 without the 1, none, -2 alone, (2 + 3) / 2
    assert ties(vectors, 0.6).tolist() == [5, -4, 0, -2, 2.5]
    assert ties([vector(2, 1), vector(-2, 1)], 1.0).tolist() == [0, 1]


def test_trimming_compares_the_entries_of_all_tensors():
    start = {"a": torch.ones(2, 2), "b": torch.zeros(1)}
    end = {"b": torch.tensor([9.0]), "a": torch.tensor([[1.0, 2.0], [1.0, 3.0]])}
    way = direction("ties", start, [end, end])  # one of five entries is kept
    assert way["a"].tolist() == [[0, 0], [0, 0]]
    assert way["b"].tolist() == [9]
    assert moved(start, way, 0.5)["b"].tolist() == [4.5]
    assert moved(start, way, 0.5)["a"].dtype == torch.float32


@pytest.mark.parametrize("method", METHODS)
def test_the_way_of_one_task_with_equal_steps_leads_to_its_end(method):
    start, end = {"a": torch.zeros(1)}, {"a": torch.tensor([2.0])}
    assert torch.equal(moved(start, direction(method, start, [end]), 1.0)["a"], end["a"])
