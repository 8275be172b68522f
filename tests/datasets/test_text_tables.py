"""Table columns beside texts are what `Tabular` makes of the same file; their state is all that new rows need."""

import csv
import json
import pickle

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from mtl_cli.batch import InputSpec
from mtl_cli.datasets.base import SPLITS
from mtl_cli.errors import UserError
from tests.tables._files import everything, tabular, write_csv
from tests.texts._files import text

HEADER = ["text", "price", "day", "shop", "y"]
COLUMNS = {"numeric": ["price", "day"], "categorical": ["shop"]}


def rows(count=80):
    stream = torch.Generator().manual_seed(0)
    picks = torch.randint(4, (count, 4), generator=stream).tolist()
    prices = torch.rand(count, generator=stream).tolist()
    return [
        [
            " ".join(["good", "bad", "film", "play"][k] for k in pick[: 1 + index % 4]),
            "" if index % 7 == 3 else f"{prices[index]:.4f}",
            f"2024-0{1 + index % 9}-1{index % 3}",
            ["a", "b", "", "rare"][pick[3]] if index % 5 else "c",
            "pn"[pick[0] % 2],
        ]
        for index, pick in enumerate(picks)
    ]


@pytest.fixture
def file(tmp_path):
    return write_csv(tmp_path / "data.csv", HEADER, rows())


def columns_of(sample):
    return {name: sample.inputs[name] for name in ("numeric", "categorical")}


def assert_same_columns(sample, other):
    for name, values in columns_of(sample).items():
        assert torch.allclose(values, other.inputs[name], rtol=0, atol=1e-6), name


def test_columns_are_encoded_as_in_a_table(file):
    options = COLUMNS | {"impute": "median", "max_categories": 3}
    ours, table = text(file, **options), tabular(file, drop=["text"], **options)
    assert ours.input_spec == InputSpec("text_table", (), ours.input_spec.categories, None, table.input_spec)
    for split in SPLITS:
        found = everything(ours, split)
        assert set(found.inputs) == {"ids", "mask", "numeric", "categorical"}
        assert_same_columns(found, everything(table, split))
        assert torch.equal(found.fields["y"], everything(table, split).fields["y"])
    assert ours.example().inputs["numeric"].shape == table.example().inputs["numeric"].shape


def test_pieces_are_those_of_texts_alone(file):
    ours, alone = text(file, **COLUMNS), text(file)
    assert alone.input_spec == InputSpec("text", (), ours.input_spec.categories)
    for split in SPLITS:
        assert set(everything(alone, split).inputs) == {"ids", "mask"}
        for name, values in everything(alone, split).inputs.items():
            assert torch.equal(values, everything(ours, split).inputs[name])


def test_columns_are_found_by_looking_where_they_are_null(file):
    found = text(file, numeric=None, categorical=None)
    assert_same_columns(everything(found, "train"), everything(text(file, **COLUMNS), "train"))
    assert text(file, numeric=None, categorical=None, drop=["day", "shop"]).input_spec.table.categories == ()


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_the_format_changes_nothing(file, tmp_path, form):
    path = tmp_path / f"data.{form}"
    with file.open(newline="") as lines:
        cells = [{key: value or None for key, value in row.items()} for row in csv.DictReader(lines)]
    if form == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in cells))
    else:
        typed = [row | {"price": row["price"] and float(row["price"])} for row in cells]
        pq.write_table(pa.Table.from_pylist(typed), path)
    assert_same_columns(everything(text(path, **COLUMNS), "test"), everything(text(file, **COLUMNS), "test"))


def test_a_table_on_disk_gives_the_same_and_can_be_sent_to_workers(file, tmp_path):
    stored = text(file, **COLUMNS, memory_mb=0, cache_dir=str(tmp_path / "cache"))
    plain = everything(text(file, **COLUMNS), "train")
    assert_same_columns(everything(stored, "train"), plain)
    sent = pickle.loads(pickle.dumps(stored.split("train")))
    assert_same_columns(sent.__getitems__(torch.arange(len(sent))), plain)


def test_a_state_encodes_rows_of_another_file_with_missing_and_unseen_cells(file, tmp_path):
    first = text(file, **COLUMNS)
    other = text(file, opened=False, **COLUMNS)
    other.load_state_dict(first.state_dict())
    assert other.input_spec == first.input_spec
    new = write_csv(
        tmp_path / "new.csv", ["shop", "text", "day", "price"],
        [["never", "good film", "2030-01-01", "0.5"], ["", "bad", "", ""], ["a", "", "2024-01-10", "7"]],
    )  # fmt: skip
    ((_, batch),) = list(other.reader(new).batches())
    found = other.encode_rows(batch, new)
    table = tabular(file, **COLUMNS, drop=["text"])
    wanted = table.encode_rows(next(iter(table.reader(new).batches()))[1], new)
    for name, values in wanted.items():
        assert torch.equal(found[name], values)
    assert found["categorical"][0, 0] == 0
    assert found["categorical"][1, 0] > 0, "training had missing shops"
    assert found["numeric"].isfinite().all()
    assert found["mask"].sum(dim=1).tolist() == [2, 1, 1]


def test_a_state_of_before_there_were_columns_is_taken(file):
    first = text(file)
    state = first.state_dict()
    del state["table"]
    other = text(file, opened=False)
    other.load_state_dict(state)
    assert other.input_spec == first.input_spec


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"numeric": ["text"]}, "Column 'text' is the text and in numeric"),
        ({"categorical": ["y"]}, "Column 'y' is an input and the target 'y': the answer would leak"),
        ({"numeric": ["shop"]}, r"data\.csv, row 1, column 'shop': '\w+' is not a number"),
        ({"numeric": ["pirce"]}, r"has no column 'pirce'\. Did you mean 'price'\?"),
        ({"numeric": ["price"], "categorical": ["price"]}, "declared numeric and categorical"),
        ({"numeric": ["price"], "impute": "mode"}, "impute is 'mode'"),
        (
            {"categorical": ["shop"], "min_category_count": 0},
            "min_category_count is 0; .* Use for example min_category_count=1",
        ),
        ({"numeric": None, "drop": ["price", "day", "shop"]}, "has no input column"),
    ],
)
def test_columns_that_do_not_fit_are_told(file, changes, message):
    with pytest.raises(UserError, match=message):
        text(file, **changes)


def test_a_column_that_a_new_file_lacks_is_told(file, tmp_path):
    source = text(file, **COLUMNS)
    new = write_csv(tmp_path / "new.csv", ["text", "price"], [["good", "1"]])
    ((_, batch),) = list(source.reader(new).batches())
    with pytest.raises(UserError, match=r"new\.csv has no column 'day', 'shop'"):
        source.encode_rows(batch, new)
    with pytest.raises(UserError, match=r"new\.csv has no column"):
        text(file, **COLUMNS, test_path=str(new))


def test_a_bad_cell_of_another_split_is_told_by_its_row(file, tmp_path):
    bad = write_csv(tmp_path / "test.csv", HEADER, [*rows(3), ["good", "cheap", "2024-01-01", "a", "p"]])
    with pytest.raises(UserError, match=r"test\.csv, row 4, column 'price': 'cheap' is not a number"):
        text(file, **COLUMNS, test_path=str(bad))
