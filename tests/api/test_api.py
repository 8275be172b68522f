"""The Python API says what the commands say, in memory, and leaves nothing behind."""

import logging
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
import torch
from hydra.core.global_hydra import GlobalHydra
from PIL import Image

import mtl_cli
from mtl_cli.runs.predict import predict
from tests import _trained
from tests._trained import assert_same, columns_written, rows_of


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    found = {}
    for kind in _trained.KINDS:
        folder = tmp_path_factory.mktemp(kind)
        found[kind] = folder, _trained.train(kind, folder)
    return found


def test_the_public_names_are_there_and_import_nothing():
    code = (
        "import sys, mtl_cli; names = [getattr(mtl_cli, name) for name in mtl_cli.__all__]; "
        "assert all(names) and set(mtl_cli.__all__) <= set(dir(mtl_cli)); "
        "assert not {'torch', 'hydra', 'numpy.random'} & (set(sys.modules) - {'numpy.random'}), sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    with pytest.raises(AttributeError, match="no attribute 'train_step'"):
        _ = mtl_cli.train_step


def test_rows_of_every_form_give_the_columns_of_the_command(runs, tmp_path):
    folder, path = runs["table"]
    predict(path, folder / "table.csv", tmp_path / "out.csv", {})
    written = columns_written(tmp_path / "out.csv")
    predictor = mtl_cli.load(path)
    rows = rows_of(folder / "table.csv")
    table = pa.csv.read_csv(folder / "table.csv")
    texts = [{name: None if cell is None else str(cell) for name, cell in row.items()} for row in rows]
    for data in (rows, iter(rows), texts, table, table.to_batches()[0], folder / "table.csv"):
        columns = predictor.predict(data)
        assert list(columns) == predictor.columns
        assert_same(columns, written)
    assert_same(predictor.predict(rows, batch_size=7), written)
    assert {kind.dtype.kind for name, kind in columns.items() if name.endswith("_prediction")} == {"O"}
    assert set(columns) >= {"y_prediction", "y_probability_0", "z_prediction", "z_probability_n"}


class Frame:
    """As much of a DataFrame of pandas as is asked for."""

    def __init__(self, rows):
        self.rows, self.columns = rows, list(rows[0])

    def to_dict(self, orient):
        assert orient == "records"
        return self.rows


class Series:
    """As much of a column of pandas as is asked for; it offers Arrow's protocol, but is not a table."""

    def __init__(self, cells):
        self.cells = cells

    def to_list(self):
        return self.cells

    def __arrow_c_stream__(self, requested_schema=None):
        return pa.chunked_array([self.cells]).__arrow_c_stream__(requested_schema)


class Protocol:
    def __init__(self, table):
        self.table = table

    def __arrow_c_stream__(self, requested_schema=None):
        index = pa.array(range(len(self.table)))
        return self.table.append_column("__index_level_0__", index).__arrow_c_stream__(requested_schema)


def test_data_frames_are_read_with_and_without_arrows_protocol(runs):
    folder, path = runs["table"]
    predictor, rows = mtl_cli.load(path), rows_of(folder / "table.csv")
    expected = predictor.predict(rows)
    as_floats = [{**row, "c": float("nan") if row["c"] is None else row["c"]} for row in rows]
    for frame in (Frame(as_floats), Protocol(pa.csv.read_csv(folder / "table.csv"))):
        for name, values in predictor.predict(frame).items():
            np.testing.assert_array_equal(values, expected[name])


def test_texts_arrays_and_sentences(runs, tmp_path):
    folder, path = runs["text"]
    predict(path, folder / "text.csv", tmp_path / "text.csv", {})
    rows = rows_of(folder / "text.csv")
    predictor, texts = mtl_cli.load(path), [row["text"] for row in rows]
    for data in (rows, texts, pa.array(texts), np.array(texts), np.array(texts, dtype=object), Series(texts)):
        assert_same(predictor.predict(data), columns_written(tmp_path / "text.csv"))

    folder, path = runs["arrays"]
    predict(path, folder / "arrays.npz", tmp_path / "arrays.csv", {})
    x = np.load(folder / "arrays.npz")["x"]
    for data in (x, x.tolist(), list(x), torch.from_numpy(x), folder / "arrays.npz"):
        assert_same(mtl_cli.load(path).predict(data), columns_written(tmp_path / "arrays.csv"))

    folder, path = runs["conll"]
    predict(path, folder / "words.conll", tmp_path / "out.conll", {})
    blocks = [
        [line.split("\t") for line in block.splitlines()]
        for block in (tmp_path / "out.conll").read_text().split("\n\n")
    ]
    sentences = [[cells[0] for cells in block] for block in blocks if block]
    columns = mtl_cli.load(path).predict(sentences)
    assert [len(values) for values in columns["y_prediction"]] == [len(words) for words in sentences]
    assert [list(values) for values in columns["y_prediction"]] == [[c[3] for c in block] for block in blocks if block]


@pytest.mark.slow
def test_images_give_columns_and_maps_of_their_own_size(tmp_path):
    folder, path = tmp_path, _trained.train_pictures(tmp_path)
    predict(path, folder / "images", tmp_path / "out", {})
    written = columns_written(tmp_path / "out" / "table.csv")
    files = sorted((folder / "images").iterdir())
    pictures = [Image.open(file) for file in files]
    predictor = mtl_cli.load(path)
    rows = [{"image": str(file)} for file in files]
    for data in (files, list(map(str, files)), pictures, [np.asarray(each) for each in pictures], rows):
        columns = predictor.predict(data)
        maps = columns.pop("instances")
        assert_same(columns, written)
        for file, found in zip(files, maps, strict=True):
            np.testing.assert_array_equal(found, np.asarray(Image.open(tmp_path / "out" / "instances" / file.name)))
    one = np.asarray(pictures[0])
    for wrong, message in (
        (one, r"one array \[\d+, \d+, 3\], which may be one image or"), (pictures[0], "give a list of"),
        ([one * np.nan], "row 1, has a pixel that is not finite"),
    ):  # fmt: skip
        with pytest.raises(mtl_cli.UserError, match=message):
            predictor.predict(wrong)
    alike = predictor.predict([np.asarray(pictures[0]), np.asarray(pictures[2])])["instances"]
    assert alike.shape == (2, 32, 40)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([{"a": 1.0, "kind": "k1"}], r"The input has no column 'b', 'c'\. Its columns: a, kind"),
        (
            [{"a": 1, "b": "x", "c": 1, "kind": "k1"}],
            r"row 1, column 'b': 'x' is not a number\. Write it as",
        ),
        ([{"a": 1, "b": [1], "c": 1, "kind": "k1"}], r"row 1, column 'b': a list is not a cell"),
        ([{"a": 1}, "b"], r"row 2, is a str; row 1 is a mapping"),
        ({"a": 1}, "one dict; give a list of mappings"),
        ("table.csv", r"one str; give.* is a pathlib\.Path"),
        (3, "of type int; give"),
        (["a text"], r"No task of this run \(y, z\) has a dataset that reads new inputs such as texts or paths"),
        (np.zeros((2, 3)), "such as arrays"),
    ],
)
def test_inputs_that_do_not_fit_are_told_as_by_the_command(runs, data, message):
    with pytest.raises(mtl_cli.UserError, match=message) as caught:
        mtl_cli.load(runs["table"][1]).predict(data)
    assert caught.value._render_traceback_() == [f"UserError: {caught.value}"]  # what a notebook shows


def test_no_rows_give_empty_columns_and_tasks_can_be_chosen(runs):
    folder, path = runs["table"]
    predictor = mtl_cli.load(path, tasks="z")
    assert predictor.tasks == ["z"]
    assert {name: len(values) for name, values in predictor.predict([]).items()} == dict.fromkeys(predictor.columns, 0)
    assert list(predictor.predict(rows_of(folder / "table.csv"))) == [
        "z_prediction",
        "z_probability_n",
        "z_probability_p",
    ]
    with pytest.raises(mtl_cli.UserError, match="'zz' is not a task"):
        mtl_cli.load(path, tasks=["zz"])
    with pytest.raises(mtl_cli.UserError, match="No checkpoint at nowhere"):
        mtl_cli.load("nowhere")


def state_of_the_process():
    variables = {key: each for key, each in os.environ.items() if key != "TORCHINDUCTOR_CACHE_DIR"}  # of torch's import
    return (
        torch.get_num_threads(), torch.are_deterministic_algorithms_enabled(), list(sys.path), Path.cwd(), variables,
        GlobalHydra.instance().is_initialized(), signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM),
        logging.getLogger("mtl_cli").level, list(logging.getLogger("mtl_cli").handlers),
    )  # fmt: skip


def test_train_returns_a_run_whose_metrics_are_those_of_its_files_and_leaves_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    before = state_of_the_process()
    overrides = ["task=mnist_digits", "backbone=mlp", "trainer.max_steps=2", "hydra.run.dir=run"]
    overrides += ["trainer.threads=1", "deterministic=true"]
    run = mtl_cli.train(overrides)
    assert "mnist_digits" in capsys.readouterr().out
    assert state_of_the_process() == before
    assert run.path.name == "run"
    assert run.summary == _trained.read_json(tmp_path / "run" / "summary.json")
    assert len(run.metrics) == len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) > 0
    assert run.figures
    assert all(path.suffix == ".png" for path in run.figures)
    assert mtl_cli.Run("run").metrics == run.metrics
    assert "tqdm_monitor" not in {each.name for each in threading.enumerate()}
    found = mtl_cli.evaluate(run, split="test")
    assert capsys.readouterr() == ("", "")
    assert found["metrics"]["mnist_digits/accuracy"] == pytest.approx(run.summary["test"]["mnist_digits/accuracy"])
    assert run.load().evaluate(split="val")["metrics"]["mnist_digits/accuracy"] == pytest.approx(
        run.summary["best_val"]["mnist_digits/accuracy"]
    )
    images = np.zeros((2, 28, 28), np.uint8)
    assert next(iter(run.load().predict(images))) == "mnist_digits_prediction"
    assert state_of_the_process() == before
    for wrong, message in (
        (["task=lettters"], "Did you mean"), ("task=letters", "one text"), (["resume=run"], "resume"),
        ({"trainer.max_step": 3}, "max_step"),
    ):  # fmt: skip
        with pytest.raises(mtl_cli.UserError, match=message):
            mtl_cli.train(wrong)
    with pytest.raises(mtl_cli.UserError, match="not a folder"):
        mtl_cli.train(["task=letters"], config_dir="nothing")
    assert state_of_the_process() == before


def test_a_run_is_evaluated_by_groups_and_exported(runs, tmp_path, capsys):
    folder, path = runs["table"]
    run = mtl_cli.Run(str(path))
    found = run.evaluate(split="val", overrides=["by=[kind]", "bootstrap=100"])
    assert {each["group"] for each in found["groups"]} == {"k0", "k1", "k2", "k3"}
    assert {each["task"] for each in found["gaps"]} <= {"y", "z"}
    output = run.export(tmp_path / "bundle", format="safetensors", tasks="z", overrides={"licence": "MIT"})
    assert capsys.readouterr() == ("", "")
    rows = rows_of(folder / "table.csv")
    expected, bundled = mtl_cli.load(run, tasks="z").predict(rows), mtl_cli.load(output).predict(rows)
    assert list(expected) == list(bundled)
    assert all((bundled[name] == values).all() for name, values in expected.items())
    card = (output / "card.md").read_text()
    assert f"mtl-export checkpoint={path} output={output} licence=MIT format=safetensors tasks=z" in card
    for wrong, message in (({"format": "onxx"}, "one of torch"), ({"overrides": ["rowz=3"]}, "rowz")):
        with pytest.raises(mtl_cli.UserError, match=message):
            run.export(tmp_path / "other", **wrong)
