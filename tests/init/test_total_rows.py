"""A row at the end of a table that sums up the others is refused, and one that is not passes."""

import random

import numpy as np
import pytest

from mtl_cli.init.total_rows import summed_up
from tests.init._looking import look, refused
from tests.init.test_oddities import here, write

__all__ = ["here"]
STREAM = random.Random(1)
N, W = [STREAM.randint(1, 50) for _ in range(60)], [round(STREAM.gauss(10, 3), 2) for _ in range(60)]
PLACES, ANSWERS = [STREAM.choice("NSEW") for _ in range(60)], [STREAM.choice(["yes", "no"]) for _ in range(60)]
SUMS, MEANS = [sum(N), round(sum(W), 2)], [round(sum(N) / 60, 1), round(sum(W) / 60, 2)]
TOTALS = {
    "sums": ([["Total", *SUMS, ""]], "row 61 of 61 says 'total' and sums up the rows above it in 'w' (sum), 'n' (sum)"),
    "means": ([["Durchschnitt:", *MEANS, ""]], "says 'durchschnitt:' and sums up the rows above it in 'w' (mean)"),
    "no word": ([["", *SUMS, ""]], "row 61 of 61 sums up the rows above it"),
    "two of them": ([["合計", *SUMS, ""], ["平均", *MEANS, ""]], "row 61 of 62 says '合計'"),
}


def table(*last):
    write(["place", "n", "w", "y"], *zip(*zip(PLACES, N, W, ANSWERS, strict=True), *last, strict=True))


@pytest.mark.parametrize("name", TOTALS)
def test_a_total_row_is_refused(name, capsys):
    last, said = TOTALS[name]
    table(*last)
    told = refused(capsys, "[w]")
    assert said in told
    assert "Delete it in the file" in told


def test_a_number_beside_a_name_of_each_row_is_no_way_past(capsys):
    write(["id", "n", "w"], [*range(60), "Sum"], [*N, SUMS[0]], [*W, SUMS[1]])
    assert "sums up the rows above it" in refused(capsys, "[w]")


@pytest.mark.parametrize("last", [["Total", 3, 3.5, "yes"], ["N", 20, 9.5, "yes"]])
def test_other_rows_pass_and_a_word_alone_is_told(last, capsys):
    table(last)
    assert ("row 61 of 61 says 'total', as no other row does" in look(capsys, "[w]")) == (last[0] == "Total")


def test_a_class_called_total_is_a_class(capsys):
    table(*[["Total", STREAM.randint(1, 50), 9.5, "no"] for _ in range(20)])
    assert "says 'total'" not in look(capsys, "[w]")


def test_few_zeros_and_ones_do_not_sum_up_by_chance(capsys):
    write(["x", "a", "b", "y"], [0.1, 0.7, 0.3, 0.2, 0.5, 0.9], [0, 0, 1, 0, 0, 1], [0, 1, 0, 0, 0, 1], list("abcabc"))
    look(capsys, "[a]")


def test_rounded_means_and_sums_are_found():
    assert summed_up(np.array([1.0, 2.0, 2.0, 1.7]), 3) == "mean"
    assert summed_up(np.array([1.25, np.nan, 2.5, 3.75]), 3) == "sum"
    assert summed_up(np.array([1.0, 2.0, 2.0, 1.8]), 3) == ""
    assert summed_up(np.array([2.0, 2.0, 4.0]), 2) == "", "a column of one value says nothing"
