import numpy as np
import pytest

from mtl_cli.init.leaks import Screen
from mtl_cli.init.probe import Cells


class Target:
    """What is asked of a column of labels."""

    def __init__(self, codes, numbers=None):
        self.codes, self.numbers = codes, numbers


def name_each_other(one, other):
    """Return whether each code goes with one other code, pair by pair."""
    pairs = {(a, b) for a, b in zip(one.tolist(), other.tolist(), strict=True) if a >= 0 and b >= 0}
    return len({a for a, _ in pairs}) == len({b for _, b in pairs}) == len(pairs)


def columns_like(codes, rng, number=6):
    """Return columns of which some name a target's codes, with holes and mistakes."""
    found = {}
    for k in range(number):
        other = rng.integers(-1, 5, size=len(codes))
        if k % 2:
            named = rng.permutation(9)[np.clip(codes, 0, None)]
            other = np.where((codes >= 0) & (rng.random(len(codes)) < 0.9), named, other if k % 3 else -1)
        found[f"c{k}"] = Cells(other, None)
    return found


def test_the_screen_leaves_the_columns_that_a_pair_by_pair_comparison_leaves():
    rng, kept, refused = np.random.default_rng(0), 0, 0
    for _ in range(300):
        codes = rng.integers(-1, rng.integers(1, 5), size=rng.integers(1, 14))
        columns = columns_like(codes, rng)
        expected = [name for name, cells in columns.items() if name_each_other(codes, cells.codes)]
        assert Screen(columns).candidates(Target(codes)) == expected
        kept, refused = kept + len(expected), refused + len(columns) - len(expected)
    assert min(kept, refused) > 200


@pytest.mark.parametrize("values", [19, 20])
def test_numbers_are_compared_where_both_have_many_values(values):
    rng = np.random.default_rng(0)
    few = np.resize(np.arange(float(values)), 60)
    columns = {"few": Cells(rng.permutation(60), few), "text": Cells(rng.permutation(60) % 7, None)}
    target = Target(np.arange(60) % 2, np.linspace(0, 1, 60))
    assert Screen(columns).candidates(target) == (["few"] if values >= 20 else [])


def test_without_columns_there_is_no_candidate():
    assert Screen({}).candidates(Target(np.array([0, 1]))) == []
