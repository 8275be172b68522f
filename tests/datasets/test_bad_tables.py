"""What becomes of bad tables: one test a row of the table in mtl_cli/datasets/README.md, in its order."""

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

import mtl_cli
from mtl_cli.batch import MISSING_CLASS
from mtl_cli.errors import UserError
from tests.tables._files import arrays, everything, tabular, write_csv


def body(count=20, **cells):
    """Rows of x, c, y; `cells` such as c7=value replace one: column and row, rows counted from 1."""
    rows = [[index / 4, "red" if index % 3 else "blue", index % 2] for index in range(count)]
    for place, value in cells.items():
        rows[int(place[1:]) - 1]["xcy".index(place[0])] = value
    return rows


def refused(path, *words, **options):
    with pytest.raises(UserError) as caught:
        tabular(path, **options)
    text = str(caught.value)
    for word in words:
        assert word in text, f"'{word}' is not in: {text}"
    return text


@pytest.fixture
def write(tmp_path):
    def make(rows=None, header=("x", "c", "y"), name="data.csv", **options):
        return write_csv(tmp_path / name, header, body() if rows is None else rows, **options)

    return make


def raw(tmp_path, data):
    path = tmp_path / "data.csv"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def test_ragged_rows(tmp_path):
    text = "x,c,y\n1,red,0\n2,blue\n"
    refused(raw(tmp_path, text), "data.csv, row 2 (line 3) has 2 cells, the header 3", "no cell for column 'y'")
    refused(raw(tmp_path, text.replace("blue", "blue,1,9")), "row 2 (line 3) has 4 cells", "'9' after the last column")


def test_wrong_delimiter(tmp_path, write):
    refused(write(delimiter=";"), "has one column, 'x;c;y'", "set \"tasks.NAME.dataset.delimiter=';'\" for")
    refused(write(), "has one column, 'x,c,y'", "set \"tasks.NAME.dataset.delimiter=','\" for", delimiter=";")
    refused(write(), "delimiter is 'ab'", delimiter="ab")
    assert len(tabular(write(delimiter="|"), delimiter="|").split("train")) == 14


def test_byte_order_mark(tmp_path, write):
    data = write().read_bytes()
    assert tabular(raw(tmp_path, b"\xef\xbb\xbf" + data)).state_dict()["inputs"]["numbers"] == ["x"]


def test_quoting(tmp_path, write):
    path = write(body(c1="red, dark", c2='say "red"', c3="two\nlines"))
    values = {
        value
        for values in tabular(path, val_path=str(path), test_path=str(path)).state_dict()["inputs"]["vocabularies"]
        for value in values
    }
    assert {"red, dark", 'say "red"', "two\nlines"} <= values
    lost = "x,c,y\n" + "1,red,0\n2,blue,1\n" * 4 + '3,"red,0\n' + "1,red,0\n" * 3
    refused(raw(tmp_path, lost), "row 9 (line 10): a cell starts with a quote that is not closed")
    for opens, closes in (
        ('"red', "blue"),
        ('"red', '"blue"'),
        ('"red', 'a""b'),
    ):  # up to the next quote, with text behind
        lost = f"x,c,y\n1,{opens},0\n2,blue,1\n" + f'3,"dark {closes}",0\n' + "4,red,1\n" * 9
        refused(raw(tmp_path, lost), "row 1 (line 2): a cell starts with a quote that is not closed")
    inches = "x,c,y\n" + "1,red,0\n2,blue,1\n" * 9 + '3,5" pipe,0\n'
    assert len(tabular(raw(tmp_path, inches)).split("train")) == 13


def test_mixed_types(write):
    path = write(body(x3="abc"))
    refused(
        path,
        "data.csv, row 3, column 'x': 'abc' stands among numbers (19 of 20 cells)",
        "categorical=[x]",
        "missing_values",
    )
    assert tabular(path, categorical=["x"]).state_dict()["inputs"]["texts"] == ["x", "c"]
    assert tabular(path, missing_values=["", "abc"]).state_dict()["inputs"]["numbers"] == ["x"]
    refused(path, "row 3, column 'x': 'abc' is not a number", numeric=["x"])
    assert tabular(write(body(c3="7"))).state_dict()["inputs"]["texts"] == ["c"]  # mostly text: categories


def test_a_label_outside_the_classes(write, tmp_path):
    declared = {"y": {"kind": "class", "column": "y", "classes": [0, 1]}}
    refused(
        write(body(y7=3)),
        "row 7, column 'y': the label '3' is not one of the declared classes (0, 1)",
        targets=declared,
    )
    test = write(body(6, y5=2), name="test.csv")
    refused(
        write(),
        "test.csv, row 5, column 'y': the label '2' is not one of the classes of the training rows",
        test_path=str(test),
    )
    forgiven = {"y": {"kind": "class", "column": "y", "missing": 2}}
    assert everything(tabular(write(), test_path=str(test), targets=forgiven), "test").fields["y"][4] == MISSING_CLASS
    for kind, bad in (("multilabel", "maybe"), ("count", -1), ("count", 1.5), ("survival", -1)):
        columns = {"columns": ["y", "x"]} if kind == "survival" else {"column": "y"}
        rows = [[1, "red", index % 2 + 1] for index in range(20)] if kind == "survival" else body()
        rows[8][2] = bad
        refused(write(rows), "row 9, column 'y'", targets={"y": {"kind": kind, **columns}})


def test_an_empty_split(write, tmp_path):
    refused(write(), "the val split is empty with val_fraction=0.0 of 20 rows", "val_path=FILE", val_fraction=0.0)
    refused(write(body(2)), "the train split is empty with val_fraction=0.15 and test_fraction=0.15 of 2 rows")
    rows = [[*row, "train"] for row in body()]
    refused(write(rows, ("x", "c", "y", "s")), "the test split is empty with split_column=s", split_column="s")
    empty = write([], name="empty.csv")
    refused(write(), "empty.csv has no rows, so the test split is empty", test_path=str(empty))
    rows = [[*row, "a"] for row in body()]
    refused(write(rows, ("x", "c", "y", "g")), "split is empty", "group_column=g", group_column="g")
    rows = [[*row, "train" if index else "half"] for index, row in enumerate(body())]
    refused(write(rows, ("x", "c", "y", "s")), "row 1, column 's': 'half' names no split", split_column="s")


def test_duplicate_columns(write, tmp_path):
    refused(write(header=("x", "x", "y")), "has the column 'x' 2 times (columns 1, 2)")
    table = pa.Table.from_arrays([pa.array([1, 2]), pa.array([1, 2])], names=["x", "x"])
    pq.write_table(table, tmp_path / "data.parquet")
    refused(tmp_path / "data.parquet", "has the column 'x' 2 times")
    unnamed = tabular(write(header=("", "c", "y")))
    assert unnamed.state_dict()["inputs"]["numbers"] == ["unnamed_1"]


def test_a_path_that_leaves_data_root(write, tmp_path):
    write(name="outside.csv")
    root = tmp_path / "root"
    root.mkdir()
    write_csv(root / "data.csv", ["x", "c", "y"], body())
    (root / "link.csv").symlink_to(tmp_path / "outside.csv")
    assert len(tabular("data.csv", root=str(root)).split("train")) == 14
    for path in ("../outside.csv", str(tmp_path / "outside.csv"), "link.csv"):
        refused(path, f"path is '{path}', which leaves data.root={root}", root=str(root))
    refused(
        "data.csv", "test_path is '../outside.csv', which leaves data.root", root=str(root), test_path="../outside.csv"
    )
    refused("dta.csv", "No file at", "Did you mean 'data.csv'?", root=str(root))


def test_a_target_that_is_also_an_input(write, tmp_path):
    refused(write(), "Column 'y' is an input and the target 'y'", "leak", numeric=["x", "y"])
    refused(write(), "Column 'y' is an input and the target 'y'", categorical=["y"])
    assert tabular(write()).state_dict()["inputs"]["numbers"] == ["x"]  # never an input by itself


def test_constant_and_all_missing_targets(write):
    constant, gone = [[*row[:2], 4] for row in body()], [[*row[:2], ""] for row in body()]
    for kind in ("class", "binary", "ordinal", "real", "count", "multilabel"):
        targets = {"y": {"kind": kind, "column": "y"}}
        value = 1 if kind == "multilabel" else 4
        rows = [[*row[:2], value] for row in constant]
        refused(write(rows), "column 'y': every label of the training rows is", "nothing to learn", targets=targets)
        refused(write(gone), "column 'y': no training row has a label", "nothing to learn", targets=targets)
    censored = {"y": {"kind": "survival", "columns": ["x", "y"]}}
    rows = [[index + 1, "red" if index % 2 else "blue", 0] for index in range(20)]
    refused(write(rows), "column 'y': no training row has an event", targets=censored, categorical=["c"])


def test_tables_of_no_row_and_of_one(write):
    refused(write([]), "data.csv has 0 rows; training needs 2 or more")
    refused(write(body(1)), "data.csv has 1 row; training needs 2 or more")


def test_an_empty_file_and_one_that_is_no_table(tmp_path):
    refused(raw(tmp_path, ""), "data.csv has no header")
    refused(raw(tmp_path, "x,c,y"), "data.csv has 0 rows")
    (tmp_path / "data.parquet").write_bytes(b"PAR1 no")
    refused(tmp_path / "data.parquet", "is not a Parquet file, or is damaged")
    (tmp_path / "data.doc").write_bytes(b"PK")
    refused(tmp_path / "data.doc", "does not show its format", "format=csv")
    (tmp_path / "cut.parquet").write_bytes(parquet_bytes(tmp_path)[:-30])
    refused(tmp_path / "cut.parquet", "is not a Parquet file, or is damaged")


def parquet_bytes(tmp_path):
    pq.write_table(pa.table({"x": [1.0] * 50, "y": ["a", "b"] * 25}), tmp_path / "whole.parquet")
    return (tmp_path / "whole.parquet").read_bytes()


def test_numbers_in_another_notation_and_names_of_rows(write, caplog):
    for texts in ("{},000", "{},5", "{}%", "row {}"):
        rows = [[texts.format(index), *row[1:]] for index, row in enumerate(body(40))]
        caplog.clear()
        assert tabular(write(rows)).state_dict()["inputs"]["texts"] == ["x", "c"]
        assert f"column 'x': nearly every row has a category of its own, such as '{rows[0][0]}'" in caplog.text
        assert "column 'c'" not in caplog.text


def test_a_hundred_thousand_categories(write, caplog):
    caplog.set_level("INFO", logger="mtl_cli")
    rows = [[index, f"name {index}", index % 2] for index in range(100_000)]
    source = tabular(write(rows), max_categories=500)
    assert source.input_spec.categories == (501,)
    assert "column 'c': 99500 of 100000 categories are unknown" in caplog.text
    assert everything(source, "train").inputs["categorical"].max() == 500
    every = tabular(write(rows), max_categories=None)
    assert every.input_spec.categories == (70_001,)
    assert everything(every, "test").inputs["categorical"].eq(0).all()


def test_bytes_that_are_no_text(tmp_path, write):
    data = write().read_bytes()
    at = [match.start() for match in re.finditer(b"blue", data)][2]
    refused(
        raw(tmp_path, data[:at] + b"bl\xfce" + data[at + 4 :]),
        "row 7 (line 8), column 'c': 'bl\N{REPLACEMENT CHARACTER}e' holds bytes that are not utf-8",
        "encoding=latin-1",
    )
    refused(raw(tmp_path, data.replace(b"x,c", b"x\xff,c")), "holds bytes that are not utf-8")
    refused(write(), "encoding is 'klingon'", encoding="klingon")


def test_infinite_values(write, tmp_path):
    for text in ("inf", "-Infinity", "1e999", "1e39"):
        refused(write(body(x4=text)), "row 4, column 'x'", "infinite")
    assert tabular(write(body(x4="inf")), missing_values=["inf"]).state_dict()["inputs"]["numbers"] == ["x"]
    refused(write(body(x4="inf")), "row 4, column 'x'", targets={"x": {"kind": "real", "column": "x"}})
    pq.write_table(pa.table({"x": [1.0, float("inf"), 2.0], "y": [0, 1, 0]}), tmp_path / "data.parquet")
    refused(tmp_path / "data.parquet", "row 2, column 'x'", "infinite")


def test_dates(write):
    rows = [[f"2024-01-{index + 1:02d}", *row[1:]] for index, row in enumerate(body())]
    source = tabular(write(rows), scale="none", val_path=str(write(rows, name="v.csv")))
    assert source.state_dict()["inputs"]["dates"] == ["x"]
    assert everything(source, "val").inputs["numeric"][0, 0] == 19723.0  # days from 1970-01-01 to 2024-01-01
    other = [[f"{index + 1:02d}/01/2024", *row[1:]] for index, row in enumerate(body())]
    assert tabular(write(other)).state_dict()["inputs"]["texts"] == ["x", "c"]  # no ISO 8601: categories
    later = write([["2024-02-30", "red", 0], *rows], name="later.csv")
    refused(write(rows), "later.csv, row 1, column 'x': '2024-02-30' is not a date", test_path=str(later))


def test_columns_that_are_missing_or_named_wrongly(write):
    refused(
        write(),
        "has no column 'colour'",
        targets={"y": {"kind": "class", "column": "y"}, "c": {"kind": "class", "column": "colour"}},
    )
    refused(write(), "has no column 'X'", "Did you mean 'x'?", drop=["X"])
    refused(write(), "has no column 'g'", group_column="g")
    refused(write(), "has no column 'g'", stratify="g")
    refused(write(), "has no input column", drop=["x", "c"])
    test = write([row[1:] for row in body()], ("c", "y"), name="test.csv")
    refused(write(), "test.csv has no column 'x'", test_path=str(test))


def test_a_group_in_two_files(write):
    rows = [[*row, index // 2] for index, row in enumerate(body())]
    header = ("x", "c", "y", "g")
    test = write(rows[:4], header, name="test.csv")
    refused(write(rows, header), "The group '0' of column 'g' is in", "test.csv", group_column="g", test_path=str(test))
    rows[5][3] = ""
    refused(write(rows, header), "row 6, column 'g': the row has no group", group_column="g")


def test_targets_that_are_declared_wrongly(write):
    for node, words in (
        ({"kind": "clas", "column": "y"}, "targets.y.kind is 'clas'; it is one of class,"),
        ({"kind": "class"}, "names its columns by column=NAME or by columns=[A,B]"),
        ({"kind": "class", "column": "y", "colums": 1}, "targets.y.colums is unknown. Did you mean 'columns'?"),
        ({"kind": "survival", "column": "y"}, "a survival target is read from [time, event]"),
        ({"kind": "class", "column": "y", "classes": [0, 0]}, "each once"),
        ({"kind": "binary", "column": "y", "classes": [0, 1, 2]}, "a binary target has two"),
        ({"kind": "binary", "column": "x"}, "is binary, but there are"),
        ({"kind": "ordinal", "column": "c"}, "their order is not known"),
        ("y", "Use for example targets.y={kind: class, column: y}"),
    ):
        refused(write(), words, targets={"y": node})


def test_options_that_do_not_go_together(write):
    for options, words in (
        ({"val_fraction": 1.5}, "val_fraction is 1.5"),
        ({"val_fraction": 0.5, "test_fraction": 0.5}, "leaves no training rows"),
        ({"folds": 3, "fold": 3}, "data.fold is 3 of data.folds=3"),
        ({"folds": 3, "test_path": "x"}, "so does test_path"),
        ({"split_column": "c", "group_column": "c"}, "names every row's split"),
        ({"impute": "mode"}, "impute is 'mode'"),
        ({"scale": "minmax"}, "scale is 'minmax'"),
        ({"max_categories": 0}, "max_categories is 0"),
        ({"numeric": ["x"], "categorical": ["x"]}, "declared numeric and categorical"),
        ({"numeric": ["x"], "drop": ["x"]}, "an input and in drop"),
        ({"split_seed": -1}, "split_seed is -1"),
    ):
        refused(write(), words, **options)


def test_the_readme_has_a_row_for_every_test_here():
    text = (Path(mtl_cli.__file__).parent / "datasets" / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"\| `(test_\w+)` \|$", text, re.MULTILINE))
    here = {name for name in globals() if name.startswith("test_")} - {"test_the_readme_has_a_row_for_every_test_here"}
    of_texts = (Path(__file__).parent / "test_bad_texts.py").read_text(encoding="utf-8")
    elsewhere = set(re.findall(r"^def (test_\w+)", of_texts, re.MULTILINE))
    assert here <= named <= here | elsewhere


def test_arrays_of_several_faults(tmp_path):
    import numpy as np

    def save(name="data.npz", **content):
        np.savez(tmp_path / name, **{"x": np.arange(40.0).reshape(20, 2), "y": np.arange(20) % 2, **content})
        return tmp_path / name

    for content, words in (
        ({"y": np.arange(19) % 2}, "differ in their number of rows: x 20, y 19"),
        ({"x": np.full((20, 2), np.inf)}, "row 1, column 'x': a value is infinite"),
        ({"x": np.array(["a"] * 20)}, "inputs are numbers"),
        ({"x": np.zeros((20, 1, 1, 1, 1))}, "has shape (20, 1, 1, 1, 1)"),
        ({"y": np.zeros(20)}, "every label of the training rows is '0'"),
        ({"y": np.array([object()] * 20)}, "is not a .npz file, or is damaged"),
        ({"y": np.zeros((20, 2, 2))}, "a label field is [N] or [N, D]"),
    ):
        with pytest.raises(UserError, match=re.escape(words)):
            arrays(save(**content))
    with pytest.raises(UserError, match="has no array 'z'"):
        arrays(save(), input="z")
    with pytest.raises(UserError, match="the answer would leak"):
        arrays(save(), input="y")
    whole = save().read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="damaged"):
        arrays(tmp_path / "cut.npz")
    assert torch.is_tensor(everything(arrays(save()), "train").inputs)
