"""A file is read by one pass, by the first rows' guess; where that is wrong, or a cell at fault, by a second one."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mtl_cli.errors import UserError
from mtl_cli.tables import filling, opening
from mtl_cli.tables.opening import Memory, open_table
from mtl_cli.tables.reading import ReadOptions, TableFile
from mtl_cli.tables.store import Layout
from tests.tables._files import write_csv


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    monkeypatch.setattr("mtl_cli.tables.csv_rows.BLOCK_BYTES", (1024, 1 << 15, 1 << 20))
    for known in (opening._tables, opening._profiles):
        known.clear()


def plan(profile):
    kinds = {name: column.kind for name, column in profile.columns.items()}
    numbers, dates = (tuple(n for n in kinds if kinds[n] == kind) for kind in ("number", "date"))
    return Layout((*numbers, "y"), dates, tuple(n for n in kinds if kinds[n] == "text"), rounded=(*numbers, *dates))


def read(folder, body, memory_mb, columns=("a", "b")):
    """Return the table of a file, and the columns read as numbers each time that its rows were read to the end."""
    file = TableFile(write_csv(folder / "data.csv", ["a", "b", "y"], body), ReadOptions())
    batches, ends = file._csv_batches, []

    def counted(wanted, floats=()):
        yield from batches(wanted, floats)
        ends.append(floats)

    file._csv_batches = counted
    memory = Memory(memory_mb=memory_mb, cache_dir=str(folder / "cache"))
    return open_table(file, list(columns), plan, memory), ends


PLACES = {"memory": (100, 1 << 24), "no name": (100, 9000), "cache, late": (0.03, 9000), "cache": (0, 9000)}
"""Megabytes from which on rows are those of a cache, and bytes that are held."""


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    ("late", "passes", "numbers", "texts"),
    [(None, 1, {"a", "y"}, {"b"}), ("7.5", 1, {"a", "y"}, {"b"}), ("oak", 2, {"y"}, {"a", "b"})],
)
def test_a_second_pass_is_needed_only_where_later_rows_hold_something_else(
    tmp_path, monkeypatch, place, late, passes, numbers, texts
):
    memory_mb, held = PLACES[place]
    monkeypatch.setattr(filling, "HELD", held)
    body = [[k / 4, f"c{k % 300}", k * 1e9 + 1] for k in range(3000)]
    body[2500][0] = late
    if late == "oak":  # a column of categories whose first rows are numbers
        body[1000:] = [["oak", *row[1:]] for row in body[1000:]]
    found, ends = read(tmp_path, body, memory_mb)
    assert len(ends) == passes
    assert [list(floats) for floats in ends] == [[] if late == "oak" else ["a", "y"]] * passes
    assert (set(found.layout.texts), set(found.layout.numbers)) == (texts, numbers)
    for name, at in (("a", 0), ("y", 2)):
        if name in numbers:
            right = np.array([np.nan if row[at] is None else float(row[at]) for row in body])
            assert np.array_equal(found.number(name), right, equal_nan=True)
    codes, values = found.text("b")
    assert [values[code] for code in codes] == [row[1] for row in body]
    assert found.cells.rounded.dtype == (np.float32 if "cache" in place else np.float64)
    assert not list((tmp_path / "cache").glob(".reading-*"))


@pytest.mark.parametrize(
    ("first", "late", "number", "as_floats"),
    [
        ("0.5", [" 7 ", "-0", "1e-3"], [7, -0.0, 1e-3], ["a", "b", "y"]),
        ("0.5", ["NaN", " NaN", ""], [np.nan] * 3, ["a", "b", "y"]),
        ("0.5", ["\N{NO-BREAK SPACE}7"], [7], []),  # Arrow does not know this space, so that all is read as text
        ("5", ["12", "7"], [12, 7], ["b", "y"]),  # only their text says that whole numbers are not codes
    ],
)
def test_columns_with_fractions_are_read_as_numbers_where_that_loses_nothing(tmp_path, first, late, number, as_floats):
    body = [[first if k < 1000 else late[k % len(late)], k / 8, k / 2] for k in range(3000)]
    found, ends = read(tmp_path, body, 100)
    assert [list(floats) for floats in ends] == [as_floats]
    right = np.array([float(first) if k < 1000 else number[k % len(late)] for k in range(3000)])
    assert np.array_equal(found.number("a"), right, equal_nan=True)


def test_rows_that_need_no_memory_may_be_changed_like_those_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(filling, "HELD", 9000)
    body = [[k / 4, "c", k] for k in range(3000)]
    found, _ = read(tmp_path, body, 100)
    assert str(tmp_path / "cache") in Path("/proc/self/maps").read_text()
    found.number("y")[:] = 7
    assert (found.number("y") == 7).all()
    assert not [path for path in (tmp_path / "cache").iterdir() if path.is_dir()]


@pytest.mark.parametrize("fault", ["full", "read only"])
def test_rows_are_held_in_memory_where_the_disk_takes_none(tmp_path, monkeypatch, fault):
    monkeypatch.setattr(filling, "HELD", 9000)
    if fault == "full":
        monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=150 << 20))
    else:
        (tmp_path / "cache").write_text("a file in its place")
    found, _ = read(tmp_path, [[k / 4, "c", k] for k in range(3000)], 100)
    assert np.array_equal(found.number("a"), np.arange(3000) / 4)
    assert str(tmp_path / "cache") not in Path("/proc/self/maps").read_text()


def test_a_row_longer_than_a_block_is_read_and_those_before_it_once(tmp_path):
    body = [[k, f"c{k % 7}", k] for k in range(1500)]
    body[1000][1] = "a\nb " * 5000
    found, _ = read(tmp_path, body, 100)
    codes, values = found.text("b")
    assert [values[code] for code in codes] == [row[1].strip() for row in body]
    assert np.array_equal(found.number("y"), np.arange(1500))


@pytest.mark.parametrize("memory_mb", [100, 0])
def test_a_label_at_fault_in_a_late_row_is_named_by_its_row(tmp_path, memory_mb):
    body = [[k, "c", k] for k in range(3000)]
    body[2500][2] = "?"
    with pytest.raises(UserError, match=r"row 2501, column 'y': '[?]' is not a number"):
        read(tmp_path, body, memory_mb)
    assert not list((tmp_path / "cache").glob(".reading-*"))


def test_the_cache_keeps_what_tells_far_numbers_apart_in_half_the_bytes(tmp_path):
    body = [[1.7e9 + k / 8, f"c{k % 100}", k + 1e15] for k in range(3000)]
    found, _ = read(tmp_path, body, 0)
    assert found.cells.rounded.dtype == np.float32
    assert found.codes.dtype == np.int8
    assert np.array_equal(found.number("a"), [row[0] for row in body])
    assert np.array_equal(found.number("y"), [row[2] for row in body])
    numbers = found.numbers_of(["a", "y"])
    assert np.array_equal(numbers[np.array([2999, 0])], [[body[2999][0], body[2999][2]], [body[0][0], body[0][2]]])


@pytest.mark.parametrize(("count", "dtype"), [(128, np.int8), (129, np.int16), (40000, np.int32)])
def test_codes_are_as_wide_as_their_number_needs(tmp_path, count, dtype):
    found, _ = read(tmp_path, [[k, f"c{k % count}", k] for k in range(max(count, 200))], 0)
    assert found.codes.dtype == dtype
    codes, values = found.text("b")
    assert codes.max() == count - 1
    assert values[count - 1] == f"c{count - 1}"
