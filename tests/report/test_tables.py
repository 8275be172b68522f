import math
import re
from dataclasses import dataclass

import pytest

from mtl_cli.report.tables import broken, count, duration, evaluation_table, fitted, number, shortened, table


@dataclass
class Values:
    values: dict[str, float]


def test_columns_are_aligned():
    assert table([["name", "x", "longer"], ["a much longer name", "1.5", "2"], ["b", "", "333"]]) == (
        "name                  x  longer\n"
        "a much longer name  1.5       2\n"
        "b                           333"
    )  # fmt: skip


def test_an_evaluation_is_one_table_of_all_tasks():
    results = {
        "mnist_digits": Values({"loss": 0.05831, "accuracy": 0.98, "f1": 0.9799}),
        "age": Values({"loss": 12.5, "mae": 3.25}),
        "none": Values({"loss": math.nan, "accuracy": math.nan}),
    }
    assert evaluation_table("val, step 120", results, score=0.91234, best=True) == (
        "val, step 120     loss  accuracy      f1     mae\n"
        "mnist_digits    0.0583    0.9800  0.9799       –\n"
        "age            12.5000         –       –  3.2500\n"
        "none                 –         –       –       –\n"
        "selection score 0.9123, the best so far"
    )
    assert evaluation_table("test", results).endswith("–")
    assert evaluation_table("val", results, score=0.5).endswith("\nselection score 0.5000")


def test_numbers_have_four_decimals():
    assert [number(value) for value in (0.98, 1.0, -0.00004, None, math.nan, math.inf)] == [
        "0.9800", "1.0000", "-0.0000", "–", "–", "inf",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"), (7, "7"), (999, "999"), (999.6, "1.0 k"), (1000, "1.0 k"), (421642, "421.6 k"), (960_000, "960.0 k"),
        (999_949, "999.9 k"), (999_960, "1.0 M"), (1_000_000, "1.0 M"), (2.5e9, "2.5 G"), (999.96e9, "1.0 T"),
        (3e15, "3000.0 T"),
    ],
)  # fmt: skip
def test_large_numbers_get_a_unit(value, text):
    assert count(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"), (8.14, "8.1 s"), (59.94, "59.9 s"), (59.96, "1 min 00 s"), (60, "1 min 00 s"),
        (125.4, "2 min 05 s"), (3599.4, "59 min 59 s"), (3599.6, "1 h 00 min"), (3720, "1 h 02 min"),
        (100 * 3600, "100 h 00 min"),
    ],
)  # fmt: skip
def test_durations_are_in_the_units_that_people_read(seconds, text):
    assert duration(seconds) == text


def test_a_fitted_table_keeps_numbers_whole_and_shortens_heads_and_texts():
    rows = [["setting", "a very long head of a column", "verdict"], ["x" * 40, "0.1234 ± 0.0567", "better"]]
    for width in (45, 60, 90):
        text = fitted(rows, width)
        assert max(map(len, text.splitlines())) <= width
        assert "0.1234 ± 0.0567" in text
    assert "a very long head of a column" in fitted(rows, 90)


def test_columns_that_do_not_fit_are_left_out_and_counted():
    rows = [["job", *(f"metric {k}" for k in range(9)), "directory"], ["1", *["0.1234 ± 0.0567"] * 9, "d" * 16]]
    text = fitted(rows, 60, note="{} more columns")
    assert max(map(len, text.splitlines())) <= 60
    assert re.search(r"^[678] more columns$", text, re.MULTILINE)
    assert text.splitlines()[1].startswith("1")


def test_a_long_text_loses_its_middle():
    assert shortened("abcdefgh", 8) == "abcdefgh"
    assert shortened("abcdefgh", 5) == "ab…gh"
    assert shortened("abcdefgh", 1) == "…"


def test_heads_are_broken_at_blanks_and_slashes_before_a_text_loses_its_middle():
    rows = [["name", "test letters/accuracy", "time"], ["a long name", "0.5", "9 s"]]
    assert fitted(rows, 40).splitlines()[0] == "name         test letters/accuracy  time"
    assert [line.rstrip() for line in fitted(rows, 27).splitlines()] == [
        "                 test",
        "             letters/",
        "name         accuracy  time",
        "a long name       0.5   9 s",
    ]
    assert broken("test letters/accuracy", 14) == ["test letters/", "accuracy"]
    assert broken("letters/accuracy", 6) == ["let…s/", "acc…cy"]


def test_an_evaluation_wider_than_the_terminal_is_a_table_for_each_kind_of_tasks(monkeypatch):
    numbers, classes = {"loss": 1.0, "mae": 0.5}, {"loss": 2.0, "accuracy": 0.25}
    results = {"a": Values(numbers), "b": Values(classes), "c": Values(numbers)}
    monkeypatch.setenv("COLUMNS", "46")
    whole = evaluation_table("test, best step 1200", results)
    monkeypatch.setenv("COLUMNS", "45")
    parts = evaluation_table("test, best step 1200", results, score=0.5).splitlines()
    assert len(whole.splitlines()) == 4
    assert [line.split() for line in parts] == [
        ["test,", "best", "step", "1200", "loss", "mae"], ["a", "1.0000", "0.5000"], ["c", "1.0000", "0.5000"],
        ["test,", "best", "step", "1200", "loss", "accuracy"], ["b", "2.0000", "0.2500"],
        ["selection", "score", "0.5000"],
    ]  # fmt: skip
