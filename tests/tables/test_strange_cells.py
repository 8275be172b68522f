"""Cells of new rows that may be written or meant otherwise than those of training are told; a few new ones are not."""

import gzip
import json

import numpy as np
import pytest

from mtl_cli.errors import UserError
from mtl_cli.tables.dates import may_be_swapped
from mtl_cli.tables.formats import open_file
from mtl_cli.tables.reading import ReadOptions
from tests.tables._files import tabular, write_csv

HEADER = ["c", "a", "y"]
ROWS = [[("red", "café", "07")[k % 3], k % 40, k % 2] for k in range(60)]


def told(tmp_path, caplog, change):
    source = tabular(write_csv(tmp_path / "a.csv", HEADER, ROWS), categorical=["c"], numeric=["a"])
    other = write_csv(tmp_path / "b.csv", HEADER, [change(k, *row) for k, row in enumerate(ROWS)])
    caplog.clear()
    for _, rows in source.reader(other).batches():
        source.encode_rows(rows, other)
    return caplog.text


@pytest.mark.parametrize(("known", "other"), [("red", "RED"), ("café", "cafe\u0301"), ("07", "7"), ("red", "r ed")])
def test_a_few_categories_written_otherwise_are_told(tmp_path, caplog, known, other):
    text = told(tmp_path, caplog, lambda k, c, a, y: [other if c == known and k < 20 else c, a, y])
    assert f"such as '{other}' for '{known}'. Write them as the training file does." in text


def test_new_categories_and_other_far_numbers_are_not(tmp_path, caplog):
    assert told(tmp_path, caplog, lambda k, c, a, y: ["blue" if k < 9 else c, 5000 if k < 9 else a, y]) == ""


def test_a_number_for_a_missing_one_is_told(tmp_path, caplog):
    text = told(tmp_path, caplog, lambda k, c, a, y: [c, -999 if k < 9 else a, y])
    assert "b.csv, column 'a': 9 cells are -999, beyond the numbers that the model was trained on" in text


def test_dates_that_all_may_be_swapped_are_told(tmp_path, caplog):
    days = np.arange("2020-01-01", "2020-12-31", 6, dtype="datetime64[D]").astype(object)
    path = write_csv(tmp_path / "a.csv", ["d", "y"], [[f"{d:%d/%m/%Y}", k % 2] for k, d in enumerate(days)])
    source = tabular(path, numeric=["d"], date_order="dmy")
    other = write_csv(tmp_path / "b.csv", ["d", "y"], [[f"{d:%m/%d/%Y}", 1] for d in days if d.day <= 12])
    file = source.reader(other)
    file.fitted = True
    for _, rows in file.batches():
        source.encode_rows(rows, other)
    assert "They are read with the day first, as those of the training file. Is it so here?" in caplog.text
    assert not may_be_swapped([f"{d:%m/%d/%Y}" for d in days])
    assert not may_be_swapped([f"01/{k:02}/2020" for k in range(1, 13)]), "first days of months"


def test_labels_in_another_unit_are_told(tmp_path, caplog):
    targets = {"y": {"kind": "real", "column": "y"}}
    path = write_csv(tmp_path / "a.csv", ["x", "y"], [[k, 50 + k % 20] for k in range(60)])
    for name, factor in (("same", 1.1), ("other", 0.01)):
        test = write_csv(tmp_path / f"{name}.csv", ["x", "y"], [[k, factor * (50 + k % 20)] for k in range(60)])
        tabular(path, targets=targets, numeric=["x"], test_path=str(test))
    assert caplog.text.count("most labels of 'y' lie beyond") == 1
    assert "other.csv: most labels of 'y' lie beyond those that the model was trained on, such as 0.5" in caplog.text


@pytest.mark.parametrize(
    ("relevance", "said"), [(-1, "-1 is not a relevance ≥ 0"), (3, "the relevance is 3, and those of training are")]
)
def test_relevance_of_another_scale_is_refused(tmp_path, relevance, said):
    targets = {"y": {"kind": "ranking", "columns": ["y", "g"]}}
    path = write_csv(tmp_path / "a.csv", ["x", "y", "g"], [[k, k % 2, k // 6] for k in range(60)])
    test = write_csv(tmp_path / "b.csv", ["x", "y", "g"], [[k, relevance, k // 6] for k in range(60)])
    with pytest.raises(UserError, match=said):
        tabular(path, targets=targets, numeric=["x"], test_path=str(test))


def test_lines_of_json_may_be_compressed(tmp_path):
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress("".join(json.dumps({"a": k}) + "\n" for k in range(5)).encode()))
    ((_, batch),) = open_file(path, ReadOptions()).batches()
    assert batch.column(0).to_pylist() == list("01234")
