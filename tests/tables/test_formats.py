"""Every format of rows gives the same table; what is not read is named for what it is."""

import gzip
import json
import zipfile

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from mtl_cli import cli
from mtl_cli.errors import UserError
from mtl_cli.tables.formats import open_file
from mtl_cli.tables.reading import ReadOptions
from tests.init._looking import dataset, look, refused, train
from tests.tables._files import everything, tabular, write_csv

ROWS = [[k, round(k / 7, 3), "red" if k % 3 else "blue", k % 2] for k in range(60)]
HEADER = ["id", "x", "c", "y"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(folder, name):
    path = folder / name
    columns = {key: list(cells) for key, cells in zip(HEADER, zip(*ROWS, strict=True), strict=True)}
    if name.endswith(".csv"):
        return write_csv(path, HEADER, ROWS)
    if name.endswith(".jsonl"):
        path.write_text("".join(json.dumps(dict(zip(HEADER, row, strict=True))) + "\n" for row in ROWS))
    elif name.endswith(".parquet"):
        pq.write_table(pa.table(columns), path)
    else:
        pyarrow.feather.write_feather(pa.table(columns), path, compression="uncompressed" if "plain" in name else "lz4")
    return path


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet", "a.feather", "plain.arrow"])
def test_every_format_gives_the_same_rows(here, name):
    same = tabular(written(here, "a.csv"), drop=["id"])
    source = tabular(written(here, name), drop=["id"])
    for split in ("train", "val", "test"):
        one, other = everything(same, split), everything(source, split)
        assert one.inputs["numeric"].equal(other.inputs["numeric"])
        assert one.inputs["categorical"].equal(other.inputs["categorical"])
        assert one.fields["y"].equal(other.fields["y"])


@pytest.mark.parametrize("name", ["a.jsonl", "a.feather"])
def test_mtl_init_takes_it_and_predictions_have_its_format(here, capsys, name):
    written(here, name)
    out = look(capsys, "y", source=name)
    assert "drop id: it counts the rows" in out
    assert dataset("a")["drop"] == ["id", "y"]
    train(capsys, out)
    assert cli.main_predict(["checkpoint=run", f"input={name}", f"output=out/{name}", "quiet=true"]) == 0
    file = open_file(here / "out" / name, ReadOptions())
    assert file.columns[:5] == [*HEADER, "y_prediction"]
    assert sum(batch.num_rows for _, batch in file.batches()) == 60


def test_a_line_of_json_with_two_equal_keys_is_refused_with_its_line_and_key(here, capsys):
    written(here, "a.jsonl")
    with (here / "a.jsonl").open("a") as file:
        file.write('{"id": 61, "y": 1, "color": "red", "y": 0}\n')
    assert "a.jsonl, line 61: an object has the key 'y' twice" in refused(capsys, "y", source="a.jsonl")


def test_what_is_not_read_is_named_for_what_it_is(here, capsys):
    for name, said in (
        ("a.xlsx", "a.xlsx is a workbook, which is not read. Save the sheet as CSV (UTF-8), and give that file."),
        ("a.csv.zip", "a.csv.zip is an archive. Unpack it, and give the folder or a file in it."),
        ("a.doc", "The name of a.doc does not show its format"),
    ):
        (here / name).write_text("x")
        assert said in refused(capsys, "y", source=name)


def test_a_file_that_is_not_what_its_name_says_is_named(here, capsys):
    with zipfile.ZipFile(here / "a.csv", "w") as archive:
        archive.writestr("a.csv", "x,y\n")
    assert "a.csv is not CSV: it is a zip archive or a workbook." in refused(capsys, "y", source="a.csv")
    written(here, "a.parquet").rename(here / "b.csv")
    assert "b.csv is not CSV: it is a Parquet file. Set format=parquet" in refused(capsys, "y", source="b.csv")
    assert "60 rows" in look(capsys, "y", "format=parquet", source="b.csv")
    (here / "c.csv").write_bytes(gzip.compress(b"x,y\n1,2\n"))
    with pytest.raises(UserError, match=r"it is compressed by gzip\. Let its name end with \.gz"):
        open_file(here / "c.csv", ReadOptions())
    (here / "c.csv").rename(here / "c.csv.gz")
    assert open_file(here / "c.csv.gz", ReadOptions()).columns == ["x", "y"]
    (here / "d.feather").write_text("nothing")
    with pytest.raises(UserError, match="is not a Feather file of version 2, or is damaged"):
        open_file(here / "d.feather", ReadOptions())
