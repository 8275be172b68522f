"""Inputs that a target was made of, or that were made of it, are named; the same ones with shuffled rows are not."""

import numpy as np
import pytest

from mtl_cli.init.derived import made_of
from mtl_cli.init.guess import guess_target
from mtl_cli.init.labels import of_numbers
from mtl_cli.init.probe import Cells

STREAM = np.random.RandomState(3)
A, B, C = STREAM.randn(3, 240)
SIZE, PRICE = np.exp(A).round(3), np.exp(B).round(2)


def numbers(values):
    return Cells(of_numbers("x", np.asarray(values, dtype=np.float64)).codes, np.asarray(values, dtype=np.float64))


def words(values):
    return Cells(np.unique(values, return_inverse=True)[1], None)


TOTAL = (A + 2 * B).round(3)
MADE = {
    "a sum": (TOTAL, {"a": numbers(A.round(3)), "b": numbers(B.round(3))}, "a, b together make y: it is nearly a sum"),
    "a product": (SIZE * PRICE, {"n": numbers(SIZE), "p": numbers(PRICE)}, "n, p together make y: it is nearly a prod"),
    "ranges": (A, {"band": words(np.digitize(A, [-1, 0.5]))}, "band says in which range y is"),
    "logarithms": (np.exp(A).round(1), {"l": numbers(A.round(2))}, "l rises or falls with y nearly everywhere"),
    "a class": (np.digitize(A, [-1, 0.5]), {"is_b": numbers(np.digitize(A, [-1, 0.5]) == 1)}, "says whether y is 1"),
    "other classes": (np.digitize(A, [-1, 0.5]), {"no": numbers(np.digitize(A, [-1, 0.5]) != 2)}, "whether y is 2"),
    "a name": (A > 0, {"y_pred": numbers(C)}, "y_pred is a prediction of y, as its name says"),
}


def told(labels, columns):
    guess = guess_target("y", [of_numbers("y", np.asarray(labels, dtype=np.float64))])
    return list(made_of(guess, columns, []))


@pytest.mark.parametrize("kind", MADE)
def test_what_a_target_was_made_of_is_named_and_of_other_rows_it_is_not(kind):
    labels, columns, said = MADE[kind]
    with_another = {**columns, "z": numbers(C)}
    (warning,) = told(labels, with_another)
    assert said in warning
    if kind != "a name":
        assert told(np.roll(labels, 1), with_another) == []


def test_columns_of_a_line_with_noise_are_inputs():
    assert told(A + B + 0.1 * C, {"a": numbers(A), "b": numbers(B)}) == []


def test_columns_that_are_named_already_are_not_named_again():
    labels, columns, _ = MADE["ranges"]
    guess = guess_target("y", [of_numbers("y", labels)])
    assert list(made_of(guess, columns, ["band"])) == []


@pytest.mark.parametrize("name", ["y_pressure", "probe", "y2", "predator", "hat_size", "x_pred"])
def test_other_names_say_nothing(name):
    assert told(A > 0, {name: numbers(C)}) == []
