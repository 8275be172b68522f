"""Texts with table columns in whole runs: what needs both is learnt from both; a checkpoint is all that it takes."""

import csv

import pytest

from mtl_cli.runs import evaluation
from mtl_cli.runs.predict import predict
from tests._thinned import thinned
from tests.backbones._tiny_bert import tiny_bert
from tests.tables._files import write_csv
from tests.texts import _reviews
from tests.texts._runs import backbone, dataset, node, train
from tests.texts.test_optimum import SMALL

TARGETS = {"liked": {"kind": "binary", "column": "liked"}, "score": {"kind": "real", "column": "score"}}
KINDS = {"liked": "binary", "score": "real"}
RUN = {"trainer__max_epochs": 10, "optimizer__lr": 0.01, "trainer__log_every": 1000, "trainer__eval_every": 5}
SIZES = SMALL | {
    "mixed": {"hidden": [32, 32], "channels": [4], "dropout": 0.0},
    "hf": {},
}


def tasks(path, **changes):
    on = dataset("text", path, TARGETS, **{"test_fraction": 0.3, **_reviews.COLUMNS, **changes})
    return {task: node(kind, task, on) for task, kind in KINDS.items()}


def outcome(folder, name, shuffled=False, rows=3000, **changes):
    body = _reviews.table(rows, 0, shuffled, ["good", "bad"] if name == "hf" else ["good", "fine", "bad", "poor"])
    path = write_csv(folder / "reviews.csv", _reviews.HEADER, body)
    own, settings = backbone(name, **SIZES[name]), RUN
    if name == "hf":  # its vocabulary knows two of the adjectives
        own["path"] = tiny_bert()
        changes |= {"tokenizer": "hf", "tokenizer_path": tiny_bert()}
        settings = RUN | {"trainer__max_epochs": 30, "optimizer__lr": 0.004}
    return train(tasks(path, **changes), folder / "run", own, **settings)["test"]


@pytest.mark.parametrize("name", thinned(SIZES, ["gru"]))
def test_what_needs_text_and_columns_is_learnt_to_the_optimum(tmp_path, name):
    found = outcome(tmp_path, name)
    assert found["liked/accuracy"] >= 0.95 * _reviews.BEST_ACCURACY
    assert found["score/rmse"] <= _reviews.BEST_RMSE / 0.95


@pytest.mark.parametrize("part", [{"numeric": [], "categorical": []}, {"text": "blank"}], ids=["text", "columns"])
def test_with_one_part_left_out_it_is_not(tmp_path, part):
    found = outcome(tmp_path, "gru", **part)
    assert 0.42 < found["liked/accuracy"] < 0.58
    assert found["score/rmse"] > 0.85 * _reviews.RMSE_OF_A_PART


def test_shuffled_labels_teach_nothing(tmp_path):
    found = outcome(tmp_path, "gru", shuffled=True)
    assert 0.42 < found["liked/accuracy"] < 0.58
    assert found["score/rmse"] > 2.8


def trained_parameters(folder, path, **settings):
    encoder = backbone("hf") | {"path": tiny_bert()}
    on = tasks(path, tokenizer="hf", tokenizer_path=tiny_bert())
    return train(on, folder, encoder, trainer__max_epochs=1, **settings)["parameters"]["trained"]


def test_columns_are_new_to_a_frozen_encoder_but_not_to_a_run_that_has_trained_them(tmp_path):
    path = write_csv(tmp_path / "reviews.csv", _reviews.HEADER, _reviews.table(120, 0))
    heads, columns = 2 * (8 + 1), 2 * 8 + 8 + 3 * 8  # two numbers with a bias; unknown, "plain" and "swap"
    assert trained_parameters(tmp_path / "first", path, freeze="trunk") == heads + columns
    again = {"init_from": str(tmp_path / "first"), "freeze": "trunk"}
    assert trained_parameters(tmp_path / "second", path, **again) == heads


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run whose data are gone afterwards."""
    folder = tmp_path_factory.mktemp("reviews")
    path = write_csv(folder / "reviews.csv", _reviews.HEADER, _reviews.table(800, 0))
    train(tasks(path, val_path=str(path), test_path=str(path)), folder / "run", backbone("gru", **SIZES["gru"]), **RUN)
    path.unlink()
    return folder / "run"


def cells(path):
    with path.open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_predictions_depend_neither_on_the_batch_nor_on_lengths_and_agree_with_evaluation(trained, tmp_path):
    body = [row for row in _reviews.table(300, 3) if row[2] > 20]  # other statistics than in training
    body[0][2], body[1][4], body[2][3] = "", "never seen", ""
    source = write_csv(tmp_path / "new.csv", _reviews.HEADER, body)
    found = []
    for size in (1, 2, 3, 4096):  # of as many rows as there are columns, and more
        assert predict(trained, source, tmp_path / "out.csv", {"batch_size": size}) == len(body)
        found.append(cells(tmp_path / "out.csv"))
    numbers = [[float(row["score_prediction"]) for row in table] for table in found]
    assert all(other == pytest.approx(numbers[0], abs=1e-3) for other in numbers[1:])
    overrides = {
        f"tasks.{name}.dataset.{key}": str(source) for name in KINDS for key in ("path", "test_path", "val_path")
    }
    report = evaluation.evaluate_checkpoint(trained, overrides, [])["metrics"]
    errors = [abs(float(row["score_prediction"]) - float(row["score"])) for row in found[0]]
    right = [row["liked_prediction"] == row["liked"] for row in found[0]]
    assert report["score/mae"] == pytest.approx(sum(errors) / len(errors), rel=1e-3)
    assert report["liked/accuracy"] == pytest.approx(sum(right) / len(right))
    assert report["liked/accuracy"] > 0.85
