"""A bundle says what the checkpoint says, holds no more than it needs, and is data."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
import yaml

import mtl_cli
from mtl_cli import cli
from mtl_cli.bundles.manifest import write_manifest
from mtl_cli.export.provenance import without_seed
from mtl_cli.runs import run
from mtl_cli.storage import checkpoint
from mtl_cli.storage.portable import read_state, write_state
from tests import _kinds, _toy, _trained
from tests._trained import rows_of


def export(path, output, *words):
    return cli.main_export([f"checkpoint={path}", f"output={output}", *words])


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    folder = tmp_path_factory.mktemp("table")
    return folder, _trained.train("table", folder)


def words_in_a_row(values):
    """A column of sentences, an array each, as one array."""
    return np.concatenate(list(values)) if isinstance(values[0], np.ndarray) else values


def same(expected, found, tolerance=1e-4):
    assert list(expected) == list(found)
    for name in expected:
        one, other = words_in_a_row(expected[name]), words_in_a_row(found[name])
        if one.dtype.kind == "f":
            np.testing.assert_allclose(other, one, atol=tolerance, err_msg=name)
            assert other.dtype == one.dtype
        else:
            assert other.tolist() == one.tolist()


@pytest.mark.parametrize("form", ["torch", "safetensors"])
def test_a_bundle_of_some_tasks_holds_their_modules_alone(table, tmp_path, capsys, form):
    folder, path = table
    assert export(path, tmp_path / "bundle", f"format={form}", "tasks=[z]", "licence=MIT") == 0
    assert "validation rows within" in capsys.readouterr().out
    found = mtl_cli.load(tmp_path / "bundle")
    assert found.tasks == ["z"]
    rows = rows_of(folder / "table.csv")
    same(mtl_cli.load(path, tasks="z").predict(rows), found.predict(rows), tolerance=0)
    heads = [name for name in found.model.model.state_dict() if name.startswith("heads.")]
    assert heads
    assert all(name.startswith("heads.z.") for name in heads)
    manifest = json.loads((tmp_path / "bundle" / "manifest.json").read_text())
    assert manifest["check"]["rows"] == 9
    assert manifest["check"]["numbers"] <= 1e-4
    card = (tmp_path / "bundle" / "card.md").read_text()
    for part in ("Licence: MIT", "z_probability_n", "SHA-256", "| test | z/accuracy |", "mtl-export checkpoint="):
        assert part in card
    assert "y_prediction" not in card
    largest = max(each for each in (tmp_path / "bundle").iterdir() if each.suffix in (".pt", ".safetensors"))
    data = bytearray(largest.read_bytes())
    data[len(data) // 2] ^= 1
    largest.write_bytes(data)
    with pytest.raises(mtl_cli.UserError, match="is not what mtl-export wrote"):
        mtl_cli.load(tmp_path / "bundle")


def test_what_cannot_be_exported_is_told_and_leaves_nothing(table, tmp_path, capsys):
    _, path = table
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("mine")
    for words, message in (
        (["format=onxn"], "Did you mean 'onnx'"), (["quantise=int8"], "needs a graph. Add format=onnx"),
        (["format=onnx", "quantise=int4"], "quantise=int8"), (["tasks=[zz]"], "'zz' is not a task"),
        (["rows=0"], "rows is 0"), (["formatt=torch"], "Did you mean 'format'"),
    ):  # fmt: skip
        assert export(path, tmp_path / "out", *words) == 2
        assert message in capsys.readouterr().err
    assert export(path, tmp_path / "full") == 2
    assert "holds files already" in capsys.readouterr().err
    moved = [f"tasks.{name}.dataset.path={tmp_path / 'nothing.csv'}" for name in "yz"]
    assert export(path, tmp_path / "out", *moved) == 2
    assert "validation rows of 'y' are replayed" in capsys.readouterr().err
    assert sorted(each.name for each in tmp_path.iterdir()) == ["full"]


def test_a_state_survives_both_forms(tmp_path):
    state = {
        "config": "a: 1", "config_hash": "0", "metrics_length": 0, "versions": {}, "model": {"w": torch.arange(3.0)},
        "ema": None, "optimizer": {}, "weighting": {}, "progress": {"step": 2},
        "datasets": {"y": {1: (torch.ones(2, dtype=torch.int64), "é"), "list": [None, 1.5, True]}},
    }  # fmt: skip
    for form, files in (("torch", ["model.pt"]), ("safetensors", ["model.safetensors", "state.json"])):
        write_state(tmp_path, state, form)
        found = read_state({name: tmp_path / name for name in files}, form)
        torch.testing.assert_close(found["model"]["w"], state["model"]["w"])
        torch.testing.assert_close(found["datasets"]["y"][1][0], torch.ones(2, dtype=torch.int64))
        assert found["datasets"]["y"][1][1] == "é"
        assert found["datasets"]["y"]["list"] == [None, 1.5, True]


@pytest.mark.parametrize(("epsilon", "seed"), [(1.0, 0), (None, 77)])
def test_the_seed_of_a_private_run_alone_is_left_out(epsilon, seed):
    config = _toy.config(seed=77, privacy__epsilon=epsilon, privacy__delta=None if epsilon is None else 1e-3)
    found = without_seed({"config": yaml.safe_dump(config, sort_keys=False), "model": {}})
    assert yaml.safe_load(found["config"]) == {**config, "seed": seed}


ALONE = """
import json, sys
import numpy as np
import mtl_cli
rows = json.load(open(sys.argv[2]))
predictor = mtl_cli.load(sys.argv[1])
columns = predictor.predict(np.array(rows, np.uint8) if sys.argv[3] == "pixels" else rows)
json.dump({name: values.tolist() for name, values in columns.items()}, open(sys.argv[2], "w"), default=list)
foreign = [name for name in sys.modules if name.split(".")[0] in ("torch", "hydra", "omegaconf", "torchmetrics")
           or name.startswith(("mtl_cli.training", "mtl_cli.runs", "mtl_cli.model", "mtl_cli.tasks"))]
assert not foreign, foreign
"""


def alone(bundle, rows, folder, kind="rows"):
    """Predict in a process of its own, which imports neither torch nor hydra nor a training module."""
    file = folder / "rows.json"
    file.write_text(json.dumps(rows))
    subprocess.run([sys.executable, "-c", ALONE, bundle, file, kind], check=True, timeout=120)
    return {
        name: np.array(values, dtype=object if isinstance(values[0], str) else np.float32)
        for name, values in json.loads(file.read_text()).items()
    }


@pytest.mark.slow
def test_a_graph_says_the_same_without_torch(table, tmp_path):
    folder, path = table
    assert export(path, tmp_path / "bundle", "format=onnx") == 0
    rows = rows_of(folder / "table.csv")
    expected = mtl_cli.load(path).predict(rows)
    predictor = mtl_cli.load(tmp_path / "bundle")
    for data in (rows, folder / "table.csv"):
        same(expected, predictor.predict(data))
    same(mtl_cli.load(path).predict(rows[:1]), predictor.predict(rows[:1]))
    assert predictor.columns == list(expected)
    assert list(mtl_cli.load(tmp_path / "bundle", tasks="z").predict(rows)) == [n for n in expected if n[0] == "z"]
    assert {name: len(values) for name, values in predictor.predict([]).items()} == dict.fromkeys(expected, 0)
    same(expected, alone(tmp_path / "bundle", rows, tmp_path))
    for wrong, message in (
        ([{"a": 1.0, "kind": "k1"}], r"The input has no column 'b', 'c'"),
        ([{"a": 1, "b": "x", "c": 1, "kind": "k1"}], r"The input, row 1, column 'b': 'x' is not a number"),
        (["a text"], "No task of this bundle"),
    ):
        with pytest.raises(mtl_cli.UserError, match=message):
            predictor.predict(wrong)
    with pytest.raises(mtl_cli.UserError, match=r"Use mtl_cli\.evaluate\(RUN_DIR\)"):
        predictor.evaluate()
    with pytest.raises(mtl_cli.UserError, match="takes no overrides"):
        mtl_cli.load(tmp_path / "bundle", overrides={"seed": 1})
    assert_nonsense_is_refused(tmp_path / "bundle")


def assert_nonsense_is_refused(bundle):
    """A manifest of a stranger, with a digest of its own, ends in a message whatever it holds."""
    data = json.loads((bundle / "manifest.json").read_text())
    name = next(iter(data["datasets"]))
    for place, junk in (
        (("columns", "z_prediction", "names"), [True, 3]), (("columns", "z_prediction"), [None, {}]),
        (("datasets", name, "columns"), [1e300]), (("datasets", name, "after"), [[[1]]]), (("datasets", name), [3]),
        (("datasets", name, "graph"), ["../x", None]), (("datasets", name, "inputs"), [None, {"kind": "rows"}]),
        (("datasets", name, "inputs", "table", "numbers"), ["", ["a"], 3]),
        (("datasets", name, "inputs", "table", "vocabularies"), [[[[]]], None]),
        (("datasets", name, "inputs", "table", "scaler"), [{}, {"knots": -1}]),
    ):  # fmt: skip
        for value in junk:
            changed = json.loads(json.dumps(data))
            node = changed
            for key in place[:-1]:
                node = node[key]
            node[place[-1]] = value
            del changed["format"], changed["files"]
            write_manifest(bundle, changed)
            with pytest.raises(mtl_cli.UserError):
                pytest.fail(f"{place}: {value!r} gives {mtl_cli.load(bundle)}")


@pytest.mark.slow
def test_calibrations_and_decisions_go_along_in_every_form(tmp_path):
    _kinds.write_files(tmp_path)
    config = _kinds.config("table", tmp_path, trainer__max_steps=6)
    numbers = {key: value for key, value in config["tasks"]["y"].items() if key != "label_smoothing"}
    config["tasks"]["b"] = {**numbers, "_target_": "mtl_cli.tasks.regression.Regression", "target": "b"}
    for task in config["tasks"].values():
        task["dataset"]["targets"]["b"] = {"kind": "real", "column": "b"}
    run.train(config, tmp_path / "run", [])
    path = tmp_path / "run"
    rows = rows_of(tmp_path / "table.csv")
    words = ["calibrate=true", "thresholds=f1", "coverage=0.8"]
    before = checkpoint.find(path, "best").read_bytes()
    for form in ("onnx", "torch", "safetensors"):
        assert export(path, tmp_path / form, f"format={form}", *words) == 0
    assert checkpoint.find(path, "best").read_bytes() == before
    assert "y_set_0" not in mtl_cli.load(path).predict(rows)
    assert cli.main_eval([f"checkpoint={path}", *words]) == 0
    expected = mtl_cli.load(path).predict(rows)
    assert "y_set_0" in expected
    assert export(path, tmp_path / "z", "tasks=[z]") == 0
    card = (tmp_path / "z" / "card.md").read_text()
    assert re.search(r"\| test \| z/accuracy \| 0\.\d+ \| 0\.\d+ to [01]", card)
    same({key: each for key, each in expected.items() if key[0] == "z"}, mtl_cli.load(tmp_path / "z").predict(rows))
    for form in ("onnx", "torch", "safetensors"):
        same(expected, mtl_cli.load(tmp_path / form).predict(rows))
    decisions = json.loads((tmp_path / "onnx" / "manifest.json").read_text())["decisions"]
    assert set(decisions) == {"b", "y", "z"}
    assert decisions["z"]["temperature"] > 0


@pytest.mark.slow
def test_graphs_of_texts_sentences_arrays_and_images_say_the_same(tmp_path):
    backbones = {"text": "text_cnn", "conll": "transformer", "arrays": "mlp"}
    for kind, backbone in backbones.items():
        folder = tmp_path / kind
        folder.mkdir()
        path = _trained.train(kind, folder, backbone=_kinds.option("backbone", backbone))
        assert export(path, folder / "bundle", "format=onnx") == 0
        data = {
            "text": lambda: [row["text"] for row in rows_of(tmp_path / "text" / "text.csv")],
            "conll": lambda: [["red", "dog"], ["blue"], ["never", "seen", "sun", "cat"]],
            "arrays": lambda: np.load(tmp_path / "arrays" / "arrays.npz")["x"].tolist(),
        }[kind]()  # fmt: skip
        expected = mtl_cli.load(path).predict(data)
        same(expected, mtl_cli.load(folder / "bundle").predict(data))
        if kind == "text":
            same(expected, alone(folder / "bundle", data, folder))


@pytest.mark.slow
def test_a_graph_of_pixels_quantised_or_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["task=letters", "trainer.max_steps=40", "hydra.run.dir=run", "backbone=mlp"]
    run = mtl_cli.train(words, quiet=True)
    images = np.random.default_rng(0).integers(0, 256, (5, 28, 28)).astype(np.uint8)
    expected = run.load().predict(images)
    assert export("run", "bundle", "format=onnx", "rows=200") == 0
    same(expected, mtl_cli.load("bundle").predict(images))
    same(expected, alone(tmp_path / "bundle", images.tolist(), tmp_path, "pixels"))
    assert export("run", "small", "format=onnx", "quantise=int8", "rows=200") == 0
    manifest = json.loads((tmp_path / "small" / "manifest.json").read_text())
    before, after = manifest["check"]["quantised"]["letters/accuracy"]
    assert abs(before - after) <= 0.01
    sizes = [(tmp_path / name / "model_0.onnx").stat().st_size for name in ("bundle", "small")]
    assert sizes[1] < 0.5 * sizes[0]


@pytest.mark.slow
def test_what_quantising_costs_is_refused_with_the_figure(table, tmp_path, capsys, monkeypatch):
    folder, path = tmp_path, table[1]
    figures = iter([0.9, 0.88])
    monkeypatch.setattr("mtl_cli.export.bundle.measured", lambda *_: {"y/accuracy": next(figures)})
    assert export(path, folder / "bundle", "format=onnx", "quantise=int8") == 2
    assert "costs 2.00 points of y/accuracy on the validation rows (0.9000 to 0.8800)" in capsys.readouterr().err
    assert not (folder / "bundle").exists()
