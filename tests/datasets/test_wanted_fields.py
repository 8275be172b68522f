"""Label fields that tasks ask for are read as those that a dataset's `targets` declare."""

import numpy as np
import pytest
import torch

from mtl_cli.batch import WantedField
from mtl_cli.datasets.base import SPLITS
from mtl_cli.datasets.mnist_digits import MnistDigits
from mtl_cli.errors import UserError
from tests.tables._files import arrays, defaults, everything, tabular, write_csv
from tests.texts._files import CONLLU, conll, text, write

TABLE = {
    "y": {"kind": "class", "column": "y"},
    "yes": {"kind": "binary", "column": "is it", "classes": ["no", "yes"], "missing": "?"},
    "life": {"kind": "survival", "columns": ["days", "dead"]},
}
WORDS = {
    "upos": {"kind": "tokens", "column": "upos"},
    "dep": {"kind": "tokens", "column": "deprel", "unseen": "missing"},
}
ARRAYS = {"y": {"kind": "class", "column": "y"}, "v": {"kind": "real", "column": "pair"}}


def wanted(targets):
    """The fields of `targets` as tasks ask for them: a column of the field's own name is not said."""
    fields = []
    for name, node in targets.items():
        reading = {key: value for key, value in node.items() if key != "kind" and (key, value) != ("column", name)}
        fields.append(WantedField(name, f"task_{name}", node["kind"], reading))
    return fields


@pytest.fixture
def table(tmp_path):
    rows = [[i, f"word {i}", "abc"[i % 3], ("no", "yes", "?")[i % 3 if i % 2 else 1], 1 + i, i % 2] for i in range(60)]
    return write_csv(tmp_path / "data.csv", ["x", "text", "y", "is it", "days", "dead"], rows)


def sources(make, path, targets, **options):
    asked = make(path, opened=False, targets={}, **options)
    asked.want(wanted(targets))
    asked.open()
    return make(path, targets=targets, **options), asked


def assert_same(declared, asked):
    assert asked.field_specs == declared.field_specs
    assert asked.input_spec == declared.input_spec
    assert asked.state_dict()["targets"] == declared.state_dict()["targets"]
    for split in SPLITS:
        one, other = everything(declared, split), everything(asked, split)
        assert set(one.fields) == set(other.fields)
        for name in one.fields:
            torch.testing.assert_close(one.fields[name], other.fields[name], rtol=0, atol=0, equal_nan=True)


def test_fields_of_a_table(table):
    declared, asked = sources(tabular, table, TABLE, drop=["text"])
    assert_same(declared, asked)
    assert asked.field_specs["yes"].class_names == ("no", "yes")
    assert asked.input_spec.shape == (1,), "only x is left as an input"


def test_fields_of_texts(table):
    assert_same(*sources(text, table, TABLE))


def test_fields_of_arrays(tmp_path):
    stream = np.random.default_rng(0)
    np.savez(tmp_path / "a.npz", x=stream.random((40, 3)), y=np.arange(40) % 3, pair=stream.random((40, 2)))
    declared, asked = sources(arrays, tmp_path / "a.npz", ARRAYS, input="x")
    assert_same(declared, asked)
    assert asked.field_specs["v"].shape == (2,)


def test_labels_of_words(tmp_path):
    path = write(tmp_path / "a.conllu", CONLLU * 6)
    assert_same(*sources(conll, path, WORDS))


def test_a_source_takes_declared_fields_and_those_that_tasks_ask_for(table):
    source = tabular(table, opened=False, targets={"y": TABLE["y"]}, drop=["text"])
    source.want([WantedField("y", "first", "ordinal"), *wanted({"life": TABLE["life"]})])
    source.open()
    assert {name: spec.kind for name, spec in source.field_specs.items()} == {"y": "class", "life": "survival"}


def test_a_state_is_read_by_a_source_that_was_told_the_same(table):
    first = sources(tabular, table, TABLE, drop=["text"])[1]
    again = tabular(table, opened=False, targets={}, drop=["text"])
    again.want(wanted(TABLE))
    again.load_state_dict(first.state_dict())
    again.open()
    assert_same(first, again)


def test_two_tasks_may_read_one_field_if_they_read_it_alike(table):
    source = tabular(table, opened=False, targets={}, drop=["text"])
    source.want([WantedField("y", "one", "class"), WantedField("y", "two", "class")])
    source.open()
    assert list(source.field_specs) == ["y"]


WRONG = [
    ([WantedField("y", "t", "class"), WantedField("y", "u", "ordinal")], "tasks.t and tasks.u read 'y' in two ways"),
    ([WantedField("y", "t", "class", {"classes": ["a"]})], "tasks.t.classes is ['a']; it names two classes or more"),
    ([WantedField("y", "t", "class", {"columns": ["y", "x"]})], "tasks.t.columns is ['y', 'x']; a class target"),
    ([WantedField("y", "t", None)], "tasks.t does not say how 'y' is read, for its class has no field_kind."),
    ([WantedField("z", "t", "class", {"column": "Y"})], "has no column 'Y'"),
    ([WantedField("z", "t", "binary", {"column": "y"})], "Use tasks.t._target_=mtl_cli.tasks.classification"),
    ([WantedField("x", "t", "count", {"missing": 3})], "Column 'x' is an input and the target 'x'"),
    ([WantedField("z", "t", "survival", {"columns": ["days", "y"]})], "add it to the missing_values of the dataset"),
    ([WantedField("d", "t", "class", {"column": "one"})], "nothing to learn for tasks.t. Leave it out: ~tasks.t."),
]


@pytest.mark.parametrize(("fields", "message"), WRONG, ids=[message[:30] for _, message in WRONG])
def test_what_cannot_be_read_is_reported_by_the_task(table, fields, message):
    lines = [line + (",one" if index == 0 else ",1") for index, line in enumerate(table.read_text().splitlines())]
    table.write_text("\n".join(lines) + "\n")
    source = tabular(table, opened=False, targets={}, numeric=["x"], categorical=[])

    def read():
        source.want(fields)
        source.open()

    with pytest.raises(UserError) as caught:
        read()
    assert message in str(caught.value)


def test_a_field_that_the_dataset_declares_is_not_read_otherwise(table):
    source = tabular(table, opened=False, targets={"y": TABLE["y"]})
    with pytest.raises(UserError, match=r"tasks\.t\.missing says how 'y' is read, and so do the targets"):
        source.want([WantedField("y", "t", "class", {"missing": "a"})])


def test_a_source_with_labels_of_its_own_takes_no_columns():
    node = {key: value for key, value in defaults("mnist_digits").items() if key not in ("folds", "fold", "root")}
    source = MnistDigits(**{**node, "source": "packaged", "root": None})
    source.want([WantedField("label", "t", "class")])
    with pytest.raises(UserError, match=r"tasks\.t\.column says how a label is read; \w+ has labels of its own"):
        source.want([WantedField("label", "t", "class", {"column": "y"})])
