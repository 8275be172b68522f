"""A number is one category whatever the type of its column, and a file of other categories is told."""

import decimal
import runpy
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from mtl_cli.errors import UserError
from mtl_cli.tables.cells import category_cells
from mtl_cli.tables.inputs import TableInputs
from mtl_cli.tables.notation import Notation
from mtl_cli.tables.place import Place
from mtl_cli.tables.reading import ReadOptions, TableFile
from tests.tables._files import tabular, write_csv

CASES = Path(__file__).parent.parent / "cases"


def texts(array):
    codes, values = category_cells(array, Notation(), Place(Path("x.parquet"), "x"))
    return [None if code < 0 else values[code] for code in codes]


@pytest.mark.parametrize("number", [0, 7, -3, 10**10, 10_000_000_005, 2**53, 123456789012])
def test_a_whole_number_has_one_text_in_every_type(number):
    columns = [
        pa.array([number], pa.int64()), pa.array([float(number)], pa.float64()), pa.array([str(number)]),
        pa.array([f"{number}.0"]), pa.array([decimal.Decimal(number)], pa.decimal128(20, 2)),
    ]  # fmt: skip
    assert {text for column in columns for text in texts(column)} == {str(number)}


def test_other_numbers_and_codes():
    assert texts(pa.array([decimal.Decimal("1.50")])) == texts(pa.array([1.5])) == ["1.5"]
    assert texts(pa.array([-0.0, float("nan"), 1e300])) == ["0", None, "1e+300"]
    codes = ["1e5", "12e30", "1.50", "007", "1e+10x"]
    assert texts(pa.array(codes)) == codes


def test_a_file_of_floats_has_the_categories_of_a_file_of_integers(tmp_path, caplog):
    options = {"targets": {"bin": {"kind": "binary", "column": "bin"}}, "categorical": ["user"], "numeric": ["z"]}
    source = tabular(CASES / "ids_int.parquet", **options)
    rows = pq.read_table(CASES / "ids_int.parquet")
    known = source.encode_rows(rows, Path("a"))["categorical"]
    found = source.encode_rows(pq.read_table(CASES / "ids_float.parquet"), Path("b"))["categorical"]
    same = torch.tensor(pq.read_table(CASES / "ids_float.parquet")["user"].is_valid().to_pylist())
    assert bool((known[same] == found[same]).all())
    assert not bool(same.all())
    assert "unknown to the model" not in caplog.text


def test_a_checkpoint_of_an_older_version_knows_its_large_numbers(tmp_path):
    path = write_csv(tmp_path / "a.csv", ["c", "y"], [[f"1000000000{k % 3}", k % 2] for k in range(30)])
    state = tabular(path, categorical=["c"], numeric=[]).input_state()["inputs"]
    state["vocabularies"] = [["1e+10", "1.0000000001e+10", "1.0000000002e+10"]]
    assert TableInputs.of(state).vocabularies[0].values == ("10000000000", "10000000001", "10000000002")


def test_a_column_of_categories_that_training_never_saw_is_told(tmp_path, caplog):
    path = write_csv(tmp_path / "a.csv", ["c", "y"], [[f"c{k % 3}", k % 2] for k in range(60)])
    other = write_csv(tmp_path / "b.csv", ["c", "y"], [[f"C{k % 3}", k % 2] for k in range(20)])
    source = tabular(path, categorical=["c"], numeric=[], test_path=str(other))
    assert (
        "b.csv, column 'c': 20 of 20 cells hold categories that are unknown to the model, such as 'C0'" in caplog.text
    )
    caplog.clear()
    for _, rows in source.reader(other).batches():
        source.encode_rows(rows, other)
    assert "20 of 20 cells" in caplog.text


@pytest.mark.parametrize("scale", ["standard", "quantile", "none"])
def test_numbers_in_another_unit_are_told_and_a_few_far_ones_are_not(scale, tmp_path, caplog):
    header, rows = ["weight", "x", "y"], [[50 + k % 40, k, k % 2] for k in range(60)]
    path = write_csv(tmp_path / "a.csv", header, rows)
    far = write_csv(tmp_path / "far.csv", header, [[9000 if k < 9 else 60, k, y] for _, k, y in rows])
    pounds = write_csv(tmp_path / "b.csv", header, [[20 * weight, k, y] for weight, k, y in rows])
    source = tabular(path, numeric=["weight", "x"], test_path=str(far), scale=scale)
    assert "weight" not in caplog.text
    for _, batch in source.reader(pounds).batches():
        source.encode_rows(batch, pounds)
    said = "b.csv: most numbers of 'weight' lie beyond those that the model was trained on"
    assert (said in caplog.text) == (scale != "none")
    caplog.clear()
    tabular(path, numeric=["weight", "x"], test_path=str(pounds), scale=scale)
    assert (said in caplog.text) == (scale != "none")


def test_a_line_end_in_a_quoted_cell_is_whole_at_the_border_of_a_block(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(CASES / "crlf_at_a_block_border.py"))
    assert capsys.readouterr().out == "'\\r\\nB' should be '\\r\\nB'\n"


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "utf-16"])
def test_line_ends_at_every_place_of_a_block(tmp_path, monkeypatch, encoding):
    monkeypatch.setattr("mtl_cli.tables.csv_rows.BLOCK_BYTES", (64,))
    want = [f"{'ä' * (k % 9)}\r\n{k}" for k in range(120)]
    text = "s,x\r\n" + "".join(f'"{cell}",{k}\r\n' for k, cell in enumerate(want))
    (tmp_path / "a.csv").write_bytes(text.encode(encoding))
    file = TableFile(tmp_path / "a.csv", ReadOptions(encoding=encoding))
    assert [cell for _, batch in file.batches() for cell in batch.column("s").to_pylist()] == want


@pytest.mark.parametrize("cell", ["maybe,5", "1,many", "1,1e300"])
def test_messages_on_a_file_for_a_model_that_is_there_name_no_options(cell, tmp_path):
    path = write_csv(tmp_path / "a.csv", ["y", "x"], [[k % 2, k] for k in range(60)])
    again = tabular(path, opened=False)
    again.load_state_dict(tabular(path).state_dict())
    (tmp_path / "b.csv").write_text(f"y,x\n1,2\n{cell}\n")
    with pytest.raises(UserError, match=r"row 2, column '[xy]': .* Write it as the training file does, or leave"):
        again.labelled_rows(tmp_path / "b.csv")
