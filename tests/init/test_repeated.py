"""Rows of one thing that lie in several splits, found by the names of rows."""

import numpy as np
import pytest

from mtl_cli.init.labels import of_numbers
from mtl_cli.init.probe import Cells
from mtl_cli.init.repeated import repeated_beginnings
from tests.init.test_derived import words

LABELS = of_numbers("y", (np.arange(240) // 10 % 2).astype(np.float64))


def cells(names):
    return Cells(words(names).codes, None, tuple(np.unique(names).tolist()))


@pytest.mark.parametrize("form", ["patient{:02}_scan{}.dcm", "a{:02}/{}.png", "case-{:02}-{}", "s{:02} {}"])
def test_names_that_begin_alike_are_told(form):
    names = [form.format(k // 10, k % 10) for k in range(240)]
    (note,) = repeated_beginnings("file", cells(names), [LABELS])
    assert "24 values in 240 rows" in note


def test_people_are_told_whatever_their_labels():
    names = [f"subject{k // 10:02}_{k % 10}" for k in range(240)]
    other = of_numbers("y", np.random.RandomState(0).randn(240))
    assert repeated_beginnings("file", cells(names), [other])
    assert not repeated_beginnings("file", cells([name.replace("subject", "s") for name in names]), [other])


@pytest.mark.parametrize("names", [[f"img_{k:04}" for k in range(240)], [f"{k}.png" for k in range(240)]])
def test_names_that_only_number_rows_are_not(names):
    assert repeated_beginnings("file", cells(names), [LABELS]) == []
