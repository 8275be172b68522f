"""Whole runs that write texts: resumed bit for bit, in sharing modes and weightings, predicted and evaluated."""

import csv
import json

import pytest

from mtl_cli.errors import UserError
from mtl_cli.runs import run, written_samples
from mtl_cli.runs.evaluation import evaluate_checkpoint
from mtl_cli.runs.predict import predict
from tests import _toy
from tests._resuming import assert_same, assert_same_run, final, train_until
from tests._thinned import thinned
from tests.tables._files import write_csv
from tests.texts import _pairs
from tests.texts._runs import backbone, node

GRU = {"embedding": 12, "width": 24, "num_layers": 2, "dropout": 0.0}
SMALL = {"width": 16, "num_heads": 2, "num_layers": 2, "dropout": 0.1}


def changes(tasks, **others):
    return {"tasks": tasks, "backbone": backbone("gru", **GRU), "data__batch_size": 16, **others}


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("decoder", _pairs.DECODERS)
def test_a_resumed_run_ends_with_the_same_bits(tmp_path, monkeypatch, decoder):
    tasks = _pairs.tasks(_pairs.table(tmp_path), decoder=decoder)
    settings = changes(tasks, backbone=backbone("transformer", **SMALL), trainer__max_epochs=3, save__every=3)
    run.train(_toy.config(**settings), tmp_path / "whole", [])
    train_until(monkeypatch, tmp_path / "parts", 5, **settings)
    run.resume(tmp_path / "parts", {"trust": ["tests"]}, [])
    assert_same_run(tmp_path / "parts", tmp_path / "whole")
    assert_same(final(tmp_path / "parts")["datasets"], final(tmp_path / "whole")["datasets"], "datasets")


CHANGES = [
    {"sharing": _toy.option("sharing", "mmoe")},
    {"sharing": _toy.option("sharing", "cross_stitch")},
    {"sharing": _toy.option("sharing", "adapters") | {"freeze_trunk": False}},
    {"sharing": {**_toy.option("sharing", "hierarchical"), "attach": {"back": 1, "next": 2}}},
    {"sharing": _toy.option("sharing", "independent")},
    {"weighting": _toy.option("weighting", "pcgrad")},
    {"weighting": {**_toy.option("weighting", "mgda"), "level": "features"}},
    {"weighting": _toy.option("weighting", "uncertainty"), "trainer__accumulate": 2},
]


@pytest.mark.parametrize(
    "changed",
    thinned(CHANGES, 4),
    ids=lambda changed: " ".join(str(each.get("_target_", each)).split(".")[-1] for each in changed.values()
                                 if isinstance(each, dict)),
)  # fmt: skip
def test_modes_and_weightings_train_heads_that_write(tmp_path, changed):
    tasks = _pairs.tasks(_pairs.table(tmp_path, rows=40))
    summary = run.train(_toy.config(**changes(tasks, trainer__max_epochs=6, **changed)), tmp_path / "run", [])
    records = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    first = next(record["metrics"] for record in records if record["kind"] == "eval")
    for name in tasks:
        assert summary["last_val"][f"{name}/loss"] < first[f"{name}/loss"] - 0.1


@pytest.mark.usefixtures("figures")
def test_texts_are_predicted_beside_a_class_and_samples_are_printed_with_their_references(tmp_path, caplog):
    path = _pairs.table(tmp_path)
    tasks = _pairs.tasks(path)
    on = tasks["back"]["dataset"]
    tasks["first"] = node("class", "first", {**on, "targets": {}})
    tasks["first"]["dataset"] = on
    run.train(_toy.config(**changes(tasks)), tmp_path / "run", [])
    new = write_csv(tmp_path / "new.csv", ["id", "source"], [(1, "abc"), (2, "f"), (3, "zø"), (4, "")])
    assert predict(tmp_path / "run", new, tmp_path / "out.csv", {"trust": ["tests"]}) == 4
    found = rows_of(tmp_path / "out.csv")
    assert list(found[0])[:3] == ["id", "source", "back_prediction"]
    assert {"next_prediction", "next_probability", "first_prediction"} <= set(found[0])
    assert [row["source"] for row in found] == ["abc", "f", "zø", ""]
    assert all(set(row["back_prediction"]) <= set(_pairs.LETTERS) for row in found)
    assert all(0 <= float(row["back_probability"]) <= 1 for row in found)
    again = predict(tmp_path / "run", new, tmp_path / "more.csv", {"trust": ["tests"], "batch_size": 1})
    assert again == 4
    assert [row["back_prediction"] for row in rows_of(tmp_path / "more.csv")] == [
        row["back_prediction"] for row in found
    ]
    caplog.clear()
    evaluate_checkpoint(tmp_path / "run", {"trust": ["tests"]}, [])
    printed = [line for line in caplog.text.splitlines() if "reference  " in line or "written    " in line]
    assert len(printed) == 2 * 2 * 4
    references = {line.split("reference  ")[1] for line in printed if "reference  " in line}
    assert references <= {cell for row in _pairs.pairs(80) for cell in row[1:3] if cell}
    [samples] = (tmp_path / "run" / "evaluations").glob("*/samples.txt")
    assert all(line in samples.read_text() for line in references)
    drawn = sorted((tmp_path / "run" / "evaluations").rglob("attention_*.png"))
    assert [path.name for path in drawn] == ["attention_back.png", "attention_next.png"]


def test_a_file_without_a_column_of_targets_is_evaluated_on_the_others(tmp_path, caplog):
    run.train(_toy.config(**changes(_pairs.tasks(_pairs.table(tmp_path)))), tmp_path / "run", [])
    new = write_csv(tmp_path / "new.csv", ["source", "back"], [("abc", "cba"), ("fa", "af"), ("b", ""), ("c", "ø")])
    record = evaluate_checkpoint(tmp_path / "run", {"trust": ["tests"]}, [], source=new)
    assert "has no column next" in caplog.text
    assert "1 texts have characters or words that the training rows never have" in caplog.text
    assert 0 <= record["metrics"]["back/exact_match"] <= 1
    assert record["metrics"]["next/exact_match"] != record["metrics"]["next/exact_match"]
    assert json.dumps(record)


@pytest.mark.parametrize(
    ("node", "dataset", "message"),
    [
        ({"column": "nothing"}, {}, "has no column 'nothing'"),
        ({"column": "source"}, {}, "Column 'source' is the text and what tasks.back writes"),
        ({"pieces": {"kind": "runes"}}, {}, "tasks.back.pieces.kind is 'runes'"),
        ({"pieces": {"longst": 3}}, {}, "Did you mean 'longest'"),
        ({"pieces": {"size": 2}}, {}, "tasks.back.pieces.size is 2"),
        ({"pieces": {"longest": "x"}}, {}, "tasks.back.pieces.longest is 'x'"),
        ({"pieces": {"lowercase": 3}}, {}, "tasks.back.pieces.lowercase is 3"),
        ({"pieces": 3}, {}, "it is a mapping"),
        ({"classes": ["a"]}, {}, "Leave it out: ~tasks.back.classes"),
        ({}, {"categorical": ["back"]}, "Column 'back' is an input and a text to be written"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_key(tmp_path, node, dataset, message):
    tasks = _pairs.tasks(_pairs.table(tmp_path, rows=30), names=("back",), **dataset)
    tasks["back"] |= node
    with pytest.raises(UserError) as caught:
        run.train(_toy.config(**changes(tasks)), tmp_path / "run", [])
    assert message in str(caught.value)


def test_a_text_that_is_too_long_is_refused_and_cut_where_that_is_asked(tmp_path, caplog):
    rows = [(f"a{row}", "ab" * 30) for row in range(20)] + [("b", "ab " * 2100), ("c", "ab " * 3000)]
    path = write_csv(tmp_path / "long.csv", ["source", "back"], rows)
    tasks = _pairs.tasks(path, names=("back",), val_fraction=0.2, test_fraction=0.2)
    with pytest.raises(UserError, match=r"row 21: the text has \d+ pieces, more than 4096.*tasks\.back\.pieces\.long"):
        run.train(_toy.config(**changes(tasks)), tmp_path / "run", [])
    tasks["back"]["pieces"] = {"kind": "characters", "longest": 8}
    run.train(_toy.config(**changes(tasks, trainer__max_epochs=1)), tmp_path / "cut", [])
    assert "22 texts are cut after pieces.longest=8 pieces" in caplog.text


def test_a_column_without_a_text_cannot_be_learnt(tmp_path):
    path = write_csv(tmp_path / "empty.csv", ["source", "back"], [(f"a{row}", " ") for row in range(20)])
    with pytest.raises(UserError, match=r"column 'back': tasks\.back is to be written, but no training row has a text"):
        run.train(_toy.config(**changes(_pairs.tasks(path, names=("back",)))), tmp_path / "run", [])


@pytest.mark.slow
@pytest.mark.parametrize("shuffled", [False, True])
def test_strings_are_reversed_and_not_where_targets_are_shuffled(tmp_path, shuffled, monkeypatch):
    path = _pairs.table(tmp_path, rows=900, shuffled=shuffled, longest=4)
    tasks = _pairs.tasks(path, names=("back",))
    settings = changes(tasks, trainer__max_epochs=15, optimizer__lr=0.01)
    summary = run.train(_toy.config(**settings), tmp_path / "run", [])
    found = summary["test"]["back/exact_match"]
    assert found < 0.3 if shuffled else found > 0.9
    looks = []
    monkeypatch.setattr(written_samples, "draw_attention", lambda path, found, title: looks.extend(found))
    evaluate_checkpoint(tmp_path / "run", {"trust": ["tests"]}, [])
    assert len(looks) == written_samples.TEXTS
    for look in looks:
        shares = look.panels["attention"]
        assert shares.shape == (len(look.written), len(look.read))
        assert set(look.written[:-1]) <= set(_pairs.LETTERS)
        assert look.written[-1] == "[END]"
