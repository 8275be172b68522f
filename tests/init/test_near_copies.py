"""Rows that are nearly copies of others are counted."""

import numpy as np

from mtl_cli.init.labels import of_numbers
from mtl_cli.init.near_copies import nearly_copied_rows
from mtl_cli.init.probe import Cells
from tests.init.test_repeated import cells

RANDOM = np.random.RandomState(0)
A, B = RANDOM.randn(2, 200)
NAMES = [f"{'red' if k % 3 else 'blue'} {k % 5}" for k in range(200)]
LABELS = (A + B > 0).astype(int)
COPIES = np.append(np.arange(200), np.arange(30))
LITTLE = np.append(np.zeros(200), np.full(30, 0.01))


def told(a=A[COPIES], b=B[COPIES], names=tuple(NAMES[k] for k in COPIES), labels=LABELS[COPIES]):
    columns = {"a": Cells(of_numbers("a", a).codes, a), "b": Cells(of_numbers("b", b).codes, b)}
    return nearly_copied_rows({**columns, "name": cells(names)}, [labels])


def test_rows_that_differ_by_little_in_one_number_are_counted():
    (note,) = told(a=A[COPIES] + LITTLE)
    assert note.startswith("30 of 230 rows are nearly the same as others: only a differs, by little.")
    assert told(a=A[COPIES] + LITTLE, b=B[COPIES] + LITTLE) == []
    assert told(a=A[COPIES] + 100 * LITTLE) == told() == []
    assert told(A, B.round(), NAMES, LABELS) == []


def test_rows_that_differ_in_capitals_or_spaces_are_counted():
    names = [name.replace(" ", "  ").upper() if k >= 200 else name for k, name in enumerate(NAMES[k] for k in COPIES)]
    (note,) = told(names=names)
    assert note.startswith("30 of 230 rows differ from earlier ones in capitals or spaces alone.")


def test_few_values_that_meet_by_chance_are_not_copies():
    codes = RANDOM.randint(0, 3, 5_000)
    a = RANDOM.randn(5_000)
    columns = {"a": Cells(of_numbers("a", a).codes, a), "b": Cells(codes, codes.astype(float))}
    assert nearly_copied_rows(columns, [codes]) == []


def test_columns_that_are_rounded_ones_of_another_make_no_copies():
    rounded = A.round(2)
    columns = {"a": Cells(of_numbers("a", A).codes, A), "r": Cells(of_numbers("r", rounded).codes, rounded)}
    assert nearly_copied_rows(columns, [LABELS]) == []
