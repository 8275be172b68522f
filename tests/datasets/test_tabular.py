"""A table as inputs and labels, against Python's csv module and numpy."""

import csv
import pickle
import random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from mtl_cli.batch import MISSING_CLASS
from mtl_cli.datasets.base import SPLITS
from mtl_cli.errors import UserError
from mtl_cli.tables import opening
from mtl_cli.tables.reading import TableFile
from tests.tables._files import everything, tabular, write_csv

HEADER = ["age", "job", "since", "income", "married", "kids", "days", "dead", "a", "b", "tall", "user"]
TARGETS = {
    "income": {"kind": "class", "column": "income"},
    "married": {"kind": "binary", "column": "married", "missing": "unknown"},
    "kids": {"kind": "count", "column": "kids"},
    "tall": {"kind": "real", "column": "tall", "missing": [-1]},
    "outcome": {"kind": "survival", "columns": ["days", "dead"]},
    "tags": {"kind": "multilabel", "columns": ["a", "b"]},
    "click": {"kind": "ranking", "columns": ["a", "user"]},
}


def rows(count=120, seed=0):
    stream = random.Random(seed)
    return [
        [
            stream.choice([stream.randint(18, 90), "", f"{stream.random() * 90:.2f}"]),
            stream.choice(["chef", "nurse", " pilot", "", "clerk, senior"]),
            f"20{stream.randint(10, 23)}-0{stream.randint(1, 9)}-11",
            stream.choice(["low", "mid", "high", ""]),
            stream.choice(["yes", "no", "unknown"]),
            stream.choice([0, 1, 2, 7, ""]),
            stream.choice([3.5, 20, 41, ""]),
            stream.choice([0, 1, "true", "False"]),
            stream.choice([0, 1, ""]),
            stream.choice(["Yes", "no"]),
            stream.choice([1.5, 1.75, 2.0, -1]),
            stream.choice(["u1", "u2", "u3"]),
        ]
        for _ in range(count)
    ]


@pytest.fixture
def file(tmp_path):
    return write_csv(tmp_path / "data.csv", HEADER, rows())


def cells_of(path, split_rows):
    with path.open(newline="") as lines:
        table = list(csv.DictReader(lines))
    return [table[row] for row in split_rows]


def split_rows(source, path):
    """Rows of each split, found by a column that no two rows share."""
    return {name: [int(x) for x in everything(source, name).fields["id"].tolist()] for name in SPLITS}


def with_ids(path, tmp_path):
    with path.open(newline="") as lines:
        header, *body = csv.reader(lines)
    return write_csv(tmp_path / "ids.csv", [*header, "id"], [[*row, index] for index, row in enumerate(body)])


ID = {"id": {"kind": "count", "column": "id"}}


def test_inputs_equal_a_manual_transformation_with_training_statistics(file, tmp_path):
    path = with_ids(file, tmp_path)
    source = tabular(path, targets=TARGETS | ID)
    of_split = split_rows(source, path)
    assert sorted(row for rows_ in of_split.values() for row in rows_) == list(range(120))
    train = cells_of(path, of_split["train"])
    ages = np.array([float(row["age"]) if row["age"] else np.nan for row in train])
    days = np.array([np.datetime64(row["since"]).astype("datetime64[D]").astype(int) for row in train])
    jobs = [row["job"].strip() for row in train]
    order = sorted(set(jobs), key=lambda job: (-jobs.count(job), job))
    assert source.input_spec.shape == (4,)  # age, since, age_missing, job
    assert source.input_spec.categories == (len(order) + 1,)
    for name in SPLITS:
        cells = cells_of(path, of_split[name])
        inputs = everything(source, name).inputs
        age = np.array([float(row["age"]) if row["age"] else np.nan for row in cells])
        expected = (np.where(np.isnan(age), np.nanmean(ages), age) - np.nanmean(ages)) / np.nanstd(ages)
        np.testing.assert_allclose(inputs["numeric"][:, 0], expected, rtol=1e-5, atol=1e-6)
        since = np.array([np.datetime64(row["since"]).astype("datetime64[D]").astype(int) for row in cells])
        np.testing.assert_allclose(inputs["numeric"][:, 1], (since - days.mean()) / days.std(), rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(inputs["numeric"][:, 2], np.isnan(age))
        wanted = [order.index(row["job"].strip()) + 1 for row in cells]
        assert inputs["categorical"][:, 0].tolist() == wanted


def test_labels_equal_the_files_cells(file, tmp_path):
    path = with_ids(file, tmp_path)
    source = tabular(path, targets=TARGETS | ID)
    specs = source.field_specs
    assert specs["income"].class_names == ("high", "low", "mid")
    assert specs["married"].kind == "class"
    assert specs["married"].class_names == ("no", "yes")
    assert specs["outcome"].shape == (2,)
    assert specs["tags"].class_names == ("a", "b")
    nan = float("nan")
    for name in SPLITS:
        cells, fields = cells_of(path, split_rows(source, path)[name]), everything(source, name).fields
        classes = [specs["income"].class_names.index(r["income"]) if r["income"] else MISSING_CLASS for r in cells]
        assert fields["income"].tolist() == classes
        assert fields["married"].tolist() == [
            {"no": 0, "yes": 1, "unknown": MISSING_CLASS}[r["married"]] for r in cells
        ]
        equal(fields["kids"], [float(r["kids"]) if r["kids"] else nan for r in cells])
        equal(fields["tall"], [nan if r["tall"] == "-1" else float(r["tall"]) for r in cells])
        dead = [float(r["dead"].lower() in ("1", "true")) for r in cells]
        times = [[float(r["days"]), d] if r["days"] else [nan, nan] for r, d in zip(cells, dead, strict=True)]
        equal(fields["outcome"], times)
        equal(fields["tags"], [[float(r["a"]) if r["a"] else nan, float(r["b"] == "Yes")] for r in cells])
        users = [r["user"] for r in cells]
        group = fields["click"][:, 1]
        for i, j in ((0, 1), (1, 2), (2, 3)):
            if not (group[i].isnan() or group[j].isnan()):
                assert (group[i] == group[j]) == (users[i] == users[j])
    train = cells_of(path, split_rows(source, path)["train"])
    kids = [float(r["kids"]) for r in train if r["kids"]]
    assert specs["kids"].mean == pytest.approx((np.mean(kids),))
    tall = [float(r["tall"]) for r in train if r["tall"] != "-1"]
    assert specs["tall"].mean + specs["tall"].std == pytest.approx((np.mean(tall), np.std(tall)))
    labels = [r["income"] for r in train if r["income"]]
    assert specs["income"].counts == tuple(labels.count(name) for name in ("high", "low", "mid"))


def equal(tensor, expected):
    np.testing.assert_array_equal(tensor.numpy(), np.array(expected, dtype=np.float32))


def test_nothing_that_was_fitted_changes_with_validation_and_test_rows(file, tmp_path):
    path = with_ids(file, tmp_path)
    source = tabular(path, targets=TARGETS | ID)
    train = set(split_rows(source, path)["train"])
    with path.open(newline="") as lines:
        header, *body = csv.reader(lines)
    for index, row in enumerate(body):
        if index not in train:
            row[0], row[1], row[10] = "1e9", "martian", "500"
    changed = write_csv(tmp_path / "changed.csv", header, body)
    again = tabular(changed, targets=TARGETS | ID)
    same(source.state_dict(), again.state_dict())
    martians = everything(again, "test").inputs
    assert martians["categorical"].eq(0).all()


def same(one, other, rounded=False):
    """Compare states; `rounded` inputs went through float32."""
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            same(one[key], other[key], rounded)
    elif isinstance(one, torch.Tensor):
        assert torch.allclose(one, other, rtol=1e-7) if rounded else torch.equal(one, other)
    else:
        assert one == other


def test_parquet_gives_what_csv_gives(file, tmp_path):
    with file.open(newline="") as lines:
        header, *body = csv.reader(lines)
    columns = {name: [row[index] or None for row in body] for index, name in enumerate(header)}
    numbers = ("age", "kids", "days", "tall")
    arrays = {
        k: pa.array([None if v is None else float(v) for v in vs]) if k in numbers else vs for k, vs in columns.items()
    }
    arrays["since"] = pa.array(
        [np.datetime64(value).astype("datetime64[D]").astype(object) for value in columns["since"]]
    )
    arrays["job"] = pa.array(columns["job"]).dictionary_encode()
    arrays["dead"] = pa.array([value.lower() in ("1", "true") for value in columns["dead"]])
    pq.write_table(pa.table(arrays), tmp_path / "data.parquet", row_group_size=50)
    compare(tabular(file, targets=TARGETS), tabular(tmp_path / "data.parquet", targets=TARGETS))


def compare(one, other, rounded=False):
    """Compare two sources; only inputs may be `rounded`, never labels."""
    same(one.state_dict(), other.state_dict(), rounded)
    for name in SPLITS:
        left, right = everything(one, name), everything(other, name)
        for key in left.inputs:
            torch.testing.assert_close(
                left.inputs[key], right.inputs[key], rtol=0, atol=1e-6 * rounded, msg=lambda text, key=key: key + text
            )
        for key in left.fields:
            assert torch.equal(left.fields[key].nan_to_num(-7), right.fields[key].nan_to_num(-7)), key


def test_tsv_encodings_byte_order_marks_and_line_ends_change_nothing(file, tmp_path):
    text = file.read_text().replace("chef", "cuisinière")
    file.write_text(text, encoding="utf-8")
    reference = tabular(file, targets=TARGETS)
    for name, data, options in (
        ("bom.csv", b"\xef\xbb\xbf" + text.encode(), {}),
        ("crlf.csv", text.replace("\n", "\r\n").encode(), {}),
        ("latin.csv", text.encode("latin-1"), {"encoding": "latin-1"}),
        ("utf16.csv", text.encode("utf-16"), {"encoding": "utf-16"}),
        ("noheader.txt", text.partition("\n")[2].encode(), {"column_names": HEADER, "format": "csv"}),
        ("blank.csv", text.replace("\n", "\n\n").encode(), {}),
    ):
        (tmp_path / name).write_bytes(data)
        compare(reference, tabular(tmp_path / name, targets=TARGETS, **options))
    with file.open(newline="", encoding="utf-8") as lines:
        header, *body = csv.reader(lines)
    compare(reference, tabular(write_csv(tmp_path / "data.tsv", header, body, delimiter="\t"), targets=TARGETS))
    semi = write_csv(tmp_path / "semi.csv", header, body, delimiter=";")
    compare(reference, tabular(semi, targets=TARGETS, delimiter=";"))


def test_a_table_on_disk_gives_what_one_in_memory_gives(file, tmp_path, monkeypatch):
    def entries():
        return sorted(path for path in (tmp_path / "cache").iterdir() if path.is_dir())

    def forbidden(*_):
        raise AssertionError("the file is read again")

    def forget():
        for known in (opening._tables, opening._profiles):
            known.clear()

    one = tabular(file, targets=TARGETS)
    forget()
    disk = {"memory_mb": 0, "cache_dir": str(tmp_path / "cache")}
    compare(one, tabular(file, targets=TARGETS, **disk), rounded=True)
    first = entries()
    assert len(first) == 1
    forget()
    with monkeypatch.context() as patch:
        patch.setattr(TableFile, "batches", forbidden)
        compare(one, tabular(file, targets=TARGETS, **disk), rounded=True)
    assert entries() == first
    file.write_text(file.read_text().replace("nurse", "nurses"))
    tabular(file, targets=TARGETS, **disk)
    assert len(entries()) == 2


def test_a_table_on_disk_whose_columns_are_all_declared(file, tmp_path):
    declared = {"numeric": ["age"], "categorical": ["job"], "targets": TARGETS}
    opening._profiles.clear()
    disk = tabular(file, memory_mb=0, cache_dir=str(tmp_path / "cache"), **declared)
    compare(tabular(file, **declared), disk, rounded=True)


def test_a_cache_that_cannot_be_written_is_named(file, tmp_path):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(UserError, match=r"Cannot keep the table .*cache_dir=DIR"):
        tabular(file, targets=TARGETS, memory_mb=0, cache_dir=str(tmp_path / "cache"))


def test_state_travels_to_another_file_without_refitting(file, tmp_path):
    source = tabular(file, targets=TARGETS)
    other = write_csv(tmp_path / "other.csv", HEADER, rows(40, seed=5))
    evaluated = tabular(file, opened=False, targets=TARGETS, test_path=str(other))
    evaluated.load_state_dict(source.state_dict())
    assert evaluated.field_specs == source.field_specs
    assert evaluated.input_spec == source.input_spec
    evaluated.open()
    same(evaluated.state_dict(), source.state_dict())
    table = evaluated.reader(other)
    encoded = [source.encode_rows(batch, other, first) for first, batch in table.batches()]
    inputs = everything(evaluated, "test").inputs
    for key in ("numeric", "categorical"):
        assert torch.equal(torch.cat([part[key] for part in encoded]), inputs[key])
    assert len(inputs["numeric"]) == 40


def test_rows_are_encoded_without_opening_the_training_file(file, tmp_path):
    source = tabular(file, targets=TARGETS)
    state = source.state_dict()
    fresh = tabular("gone.csv", opened=False, targets=TARGETS)
    fresh.load_state_dict(state)
    path = write_csv(tmp_path / "new.csv", ["extra", "job", "since", "age"], [["x", "martian", "2020-01-01", ""]])
    [(first, batch)] = fresh.reader(path).batches()
    inputs = fresh.encode_rows(batch, path, first)
    assert inputs["categorical"].tolist() == [[0]]
    assert inputs["numeric"].shape == (1, 3)
    assert inputs["numeric"][0, 0] == 0
    assert inputs["numeric"][0, 2] == 1
    assert fresh.example().inputs["numeric"].shape == (2, 3)
    short = write_csv(tmp_path / "short.csv", ["job", "agee"], [["chef", 3]])
    [(first, batch)] = fresh.reader(short).batches()
    with pytest.raises(UserError, match=r"no column 'age', 'since'\. Did you mean 'agee'"):
        fresh.encode_rows(batch, short, first)


def test_a_loaded_source_takes_a_file_without_some_targets_a_training_one_does_not(file, tmp_path, caplog):
    source = tabular(file, targets=TARGETS)
    header = [name for name in HEADER if name not in ("income", "kids")]
    kept = [[cell for name, cell in zip(HEADER, row, strict=True) if name in header] for row in rows(20, seed=3)]
    other = write_csv(tmp_path / "other.csv", header, kept)
    loaded = tabular(file, opened=False, targets=TARGETS, test_path=str(other))
    loaded.load_state_dict(source.state_dict())
    loaded.open()
    fields = everything(loaded, "test").fields
    assert fields["income"].eq(MISSING_CLASS).all()
    assert fields["kids"].isnan().all()
    assert "no column income" in caplog.text
    with pytest.raises(UserError, match="has no column 'income', 'kids'"):
        tabular(file, targets=TARGETS, test_path=str(other))


def test_splits_by_files_column_group_and_fold(file, tmp_path):
    val, test = (
        write_csv(tmp_path / f"{name}.csv", HEADER, rows(count, seed=count)) for name, count in (("v", 30), ("t", 40))
    )
    source = tabular(file, targets=TARGETS, val_path=str(val), test_path=str(test))
    assert [len(source.split(name)) for name in SPLITS] == [120, 30, 40]
    body = [[*row, name] for row, name in zip(rows(), ["train", "val", "test", "train"] * 30, strict=True)]
    by_column = tabular(write_csv(tmp_path / "c.csv", [*HEADER, "part"], body), targets=TARGETS, split_column="part")
    assert [len(by_column.split(name)) for name in SPLITS] == [60, 30, 30]
    body = [[*row, index // 4] for index, row in enumerate(rows())]
    path = write_csv(tmp_path / "g.csv", [*HEADER, "family"], body)
    grouped = tabular(
        path, targets=TARGETS | {"f": {"kind": "ranking", "columns": ["a", "family"]}}, group_column="family"
    )
    seen = [set(everything(grouped, name).fields["f"][:, 1].nan_to_num(-1).tolist()) - {-1.0} for name in SPLITS]
    assert len(set.union(*seen)) == sum(len(families) for families in seen)
    ids, seen = with_ids(file, tmp_path), []
    for fold in range(4):
        seen += split_rows(tabular(ids, targets=TARGETS | ID, folds=4, fold=fold), ids)["test"]
    assert sorted(seen) == list(range(120))


def test_declared_columns_are_taken_as_declared(file):
    both = tabular(file, targets=TARGETS, numeric=["age"], categorical=["user", "job"])
    assert both.state_dict()["inputs"]["numbers"] == ["age"]
    assert both.state_dict()["inputs"]["texts"] == ["user", "job"]
    assert both.state_dict()["inputs"]["dates"] == []
    one = tabular(file, targets=TARGETS, categorical=["age"], drop=["since"])
    assert one.state_dict()["inputs"]["texts"] == ["age", "job"]
    assert one.state_dict()["inputs"]["numbers"] == []


def test_rare_categories_are_unknown(tmp_path):
    body = [[name, index % 2] for index, name in enumerate(["a"] * 40 + ["b"] * 20 + ["c"] * 6 + ["d"] * 2)]
    path = write_csv(tmp_path / "data.csv", ["x", "y"], body)
    assert tabular(path, max_categories=2).state_dict()["inputs"]["vocabularies"] == [["a", "b"]]
    assert sorted(tabular(path, min_count=3, max_categories=None).state_dict()["inputs"]["vocabularies"][0]) == [
        "a",
        "b",
        "c",
    ]


def test_rows_on_disk_are_pickled_by_their_place(tmp_path):
    path = write_csv(tmp_path / "data.csv", ["y", *"abcdefghij"], [[i % 2, *range(i, i + 10)] for i in range(2000)])
    train = tabular(path, memory_mb=0, cache_dir=str(tmp_path / "cache")).split("train")
    data = pickle.dumps(train)
    assert len(data) < 60_000  # the numbers alone would be 160 kB
    one, other = (each.__getitems__(torch.arange(5)) for each in (train, pickle.loads(data)))
    assert torch.equal(one.inputs["numeric"], other.inputs["numeric"])


def test_a_column_declared_numeric_may_hold_dates(tmp_path):
    rows = [[f"2024-01-{1 + day:02d}", day, "ab"[day % 2]] for day in range(28)]
    path = write_csv(tmp_path / "data.csv", ["day", "x", "y"], rows)
    declared, found = tabular(path, numeric=["day", "x"], categorical=[]), tabular(path)
    for split in ("train", "val", "test"):
        one, other = (everything(source, split).inputs["numeric"] for source in (declared, found))
        assert torch.equal(one.sort(dim=1).values, other.sort(dim=1).values)
    assert declared.state_dict()["inputs"]["dates"] == ["day"]
