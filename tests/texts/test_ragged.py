"""Rows of different lengths against lists."""

import numpy as np
import pytest

from mtl_cli.texts.ragged import Ragged, side_by_side, stacked

ROWS = [[1, 2, 3], [], [4], [5, 6, 7, 8], [9]]


def lists(rows):
    return [rows[index].tolist() for index in range(len(rows))]


def test_rows_come_back_as_they_were():
    assert lists(Ragged.of(ROWS)) == ROWS
    assert Ragged.of(ROWS).lengths.tolist() == [3, 0, 1, 4, 1]
    assert lists(Ragged.of([])) == []


def test_rows_are_taken_in_the_order_asked_for():
    assert lists(Ragged.of(ROWS).take(np.array([3, 1, 0, 0]))) == [[5, 6, 7, 8], [], [1, 2, 3], [1, 2, 3]]


def test_padded_rows_are_as_long_as_the_longest_of_them():
    values, mask = Ragged.of(ROWS).padded(np.array([0, 2, 1]), fill=-1)
    assert values.tolist() == [[1, 2, 3], [4, -1, -1], [-1, -1, -1]]
    assert mask.tolist() == [[True, True, True], [True, False, False], [False, False, False]]


@pytest.mark.parametrize("length", [1, 2, 9])
def test_rows_are_cut_at_their_ends(length):
    assert lists(Ragged.of(ROWS).cut(length)) == [row[:length] for row in ROWS]


def test_rows_stand_side_by_side_and_one_below_the_other():
    first, second = Ragged.of(ROWS), Ragged.constant([0, 0], len(ROWS))
    assert lists(side_by_side([first, second, first])) == [[*row, 0, 0, *row] for row in ROWS]
    assert lists(stacked([first, second])) == [*ROWS, *[[0, 0]] * len(ROWS)]
    assert lists(stacked([])) == []
