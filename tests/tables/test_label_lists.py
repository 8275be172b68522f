"""Several labels in one cell: which rows have which label, compared with what the cells were made of."""

import random

import pytest
import torch

from mtl_cli.datasets.base import SPLITS
from mtl_cli.errors import UserError
from mtl_cli.tables.label_lists import labels_in
from tests.tables._files import everything, tabular, write_csv

TAGS = ["blue", "green", "red"]
NODE = {"kind": "multilabel", "column": "tags", "separator": ";"}


def table(path, rows=60, more=()):
    """Write rows whose number is their input; return what each is labelled with, None for an empty cell."""
    stream = random.Random(0)
    wanted = [[tag for tag in TAGS if stream.random() < 0.4] for _ in range(rows)]
    wanted[3], wanted[4] = None, []
    cells = ["" if each is None else "; ".join(stream.sample(each, len(each))) or ";" for each in wanted]
    write_csv(path, ["x", "tags"], [*enumerate([*cells, *more])])
    return wanted


def source(path, **node):
    return tabular(path, targets={"tags": NODE | node}, numeric=["x"], categorical=[], scale="none", stratify=None)


def test_each_row_has_the_labels_of_its_cell_in_any_order(tmp_path):
    wanted = table(tmp_path / "data.csv")
    found = source(tmp_path / "data.csv")
    spec = found.field_specs["tags"]
    assert (spec.class_names, spec.shape, spec.num_classes) == (tuple(TAGS), (3,), 3)
    seen = 0
    for split in SPLITS:
        batch = everything(found, split)
        for number, marks in zip(
            batch.inputs["numeric"][:, 0].round().int().tolist(), batch.fields["tags"], strict=True
        ):
            names = wanted[number]
            expected = [float("nan")] * 3 if names is None else [float(tag in names) for tag in TAGS]
            torch.testing.assert_close(marks, torch.tensor(expected), equal_nan=True)
            seen += 1
    assert seen == len(wanted)


def test_counts_are_those_of_the_training_rows_and_survive_a_checkpoint(tmp_path):
    table(tmp_path / "data.csv")
    found = source(tmp_path / "data.csv")
    marks = everything(found, "train").fields["tags"]
    assert found.field_specs["tags"].counts == tuple(marks.nansum(0).int().tolist())
    again = tabular(tmp_path / "data.csv", opened=False, targets={"tags": NODE}, numeric=["x"], categorical=[])
    again.load_state_dict(found.state_dict())
    again.open()
    assert again.field_specs == found.field_specs


def test_capitals_and_declared_labels(tmp_path):
    write_csv(
        tmp_path / "data.csv", ["x", "tags"], [[i, ("Red;blue", "red", "BLUE|red", "blue")[i % 4]] for i in range(40)]
    )
    found = source(tmp_path / "data.csv", ignore_case=True, classes=["red", "blue", "blue|red", "pink"])
    assert found.field_specs["tags"].counts[-1] == 0, "a declared label may have no row"
    with pytest.raises(UserError, match=r"'BLUE\|red' is not one of the declared classes"):
        source(tmp_path / "data.csv", classes=["red", "Red", "blue"])


@pytest.mark.parametrize(
    ("node", "said"),
    [
        ({"separator": 3}, "separator is 3"),
        ({"separator": ""}, "what stands between"),
        ({"kind": "class"}, "a class target of tags. Leave it out"),
        ({"separator": None}, "say what is between them: 'targets.tags.separator=\";\"'"),
    ],
)
def test_a_separator_that_does_not_fit_is_refused_with_what_to_do(node, said, tmp_path):
    table(tmp_path / "data.csv")
    with pytest.raises(UserError) as told:
        source(tmp_path / "data.csv", **node)
    assert said in str(told.value)


def test_a_label_that_no_training_row_has_is_refused_by_its_row(tmp_path):
    table(tmp_path / "data.csv", more=["red;gren"])
    node = {"targets": {"tags": NODE}, "split_column": "part"}
    lines = (tmp_path / "data.csv").read_text().splitlines()
    parts = [
        "part",
        *("test" if "gren" in line else ("train", "train", "val")[i % 3] for i, line in enumerate(lines[1:])),
    ]
    (tmp_path / "data.csv").write_text("\n".join(map(",".join, zip(lines, parts, strict=True))))
    with pytest.raises(UserError, match=r"row 61, column 'tags': the label 'gren' is not .*did you mean 'green'"):
        tabular(tmp_path / "data.csv", **node)


@pytest.mark.parametrize(
    ("cell", "separator", "labels"),
    [("a; b ;a", ";", ("a", "b")), (";", ";", ()), ("a, b", ", ", ("a", "b")), ("1.0|True", "|", ("1", "true"))],
)
def test_the_labels_of_a_cell(cell, separator, labels):
    assert labels_in(cell, separator) == labels
