"""Rows in the order of time, and series of several things: told where they are, and not where rows are in any order."""

from pathlib import Path

import numpy as np
import pytest

from mtl_cli.init.order import in_order, times_among
from tests.init._looking import look, train
from tests.init.test_derived import numbers, words
from tests.init.test_oddities import X, Y, write

STREAM = np.random.RandomState(1)
DAYS, SHOPS = np.tile(np.arange(20.0), 12), np.repeat([f"shop {k}" for k in range(12)], 20)


def told(times, columns):
    return list(in_order({name: np.asarray(each, dtype=np.float64) for name, each in times.items()}, columns))


def test_times_are_dates_and_numbers_of_such_names():
    columns = {name: numbers(X) for name in ("ts", "sale_year", "days_left", "x", "estimate")}
    assert list(times_among(columns, {"d": numbers(X)})) == ["ts", "sale_year", "d"]


@pytest.mark.parametrize("time", [np.arange(240) * 60, -np.arange(240), np.arange(240) // 12])
def test_rows_in_the_order_of_time_are_told_once(time):
    notes = told({"t": time, "u": time}, {})
    assert len(notes) == 1
    assert "rows are in the order of t" in notes[0]
    assert told({"t": STREAM.permutation(time)}, {}) == []


def test_series_are_told_in_any_order_of_rows():
    mixed = STREAM.permutation(240)
    assert "each shop has one row per day" in told({"day": DAYS[mixed]}, {"shop": words(SHOPS[mixed])})[0]


@pytest.mark.parametrize("things", [words(STREAM.permutation(SHOPS)), words(np.arange(240)), words(np.zeros(240))])
def test_other_columns_make_no_series(things):
    assert told({"day": STREAM.permutation(DAYS)}, {"shop": things}) == []


@pytest.mark.slow
def test_the_way_out_works_though_the_column_counts_the_rows(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write(["t", "x", "y"], range(240), X, Y)
    out = look(capsys, "[y]")
    assert "rows are in the order of t" in out
    path = Path("conf/dataset/data.yaml")
    kept = [line for line in path.read_text().splitlines() if not line.startswith("stratify")]
    path.write_text("\n".join([*kept, "time_column: t"]))
    train(capsys, out, "trainer.max_steps=2")
