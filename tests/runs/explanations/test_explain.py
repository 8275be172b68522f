"""mtl-explain finds what was planted: columns that serve one task or two, words, and pixels."""

import csv
import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from mtl_cli import cli
from mtl_cli.batch import InputPlace
from mtl_cli.runs.explanations.permutation import Importance, marked, permuted, served
from tests import _toy

FAST = ["trainer.device=cpu", "trainer.precision=fp32", "quiet=true", "optimizer.lr=0.02", "data.batch_size=32"]


def test_all_places_of_an_input_are_shuffled_together_and_no_other():
    numbers, kinds = torch.arange(12.0).reshape(4, 3), torch.arange(8).reshape(4, 2)
    order = torch.tensor([2, 0, 3, 1])
    values = {"numeric": numbers, "categorical": kinds}
    mixed = permuted(values, [InputPlace("numeric", 0), InputPlace("numeric", 2)], order)
    assert mixed["numeric"].T.tolist() == [
        numbers[order, 0].tolist(),
        numbers[:, 1].tolist(),
        numbers[order, 2].tolist(),
    ]
    assert mixed["categorical"] is kinds
    assert numbers[0].tolist() == [0.0, 1.0, 2.0]
    assert permuted(values, [InputPlace("categorical")], order)["categorical"].tolist() == kinds[order].tolist()


def test_an_input_serves_a_task_where_it_matters_beyond_the_deviation_of_shuffles():
    found = marked(
        [
            Importance("a", "x", "auc", 0.9, 0.3, 0.05),
            Importance("a", "y", "auc", 0.9, 0.05, 0.04),
            Importance("a", "z", "auc", 0.9, 0.005, 0.0001),
            Importance("b", "x", "auc", 0.9, 0.2, 0.05),
            Importance("b", "y", "auc", 0.9, -0.1, 0.01),
        ]
    )
    assert served(found) == {"x": ["a", "b"], "y": [], "z": []}
    assert [each.input for each in found] == ["x", "y", "z", "x", "y"]


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    folder = tmp_path_factory.mktemp("table")
    stream = np.random.default_rng(0)
    both, first, second, noise = stream.normal(size=(4, 900))
    kind = stream.integers(0, 3, size=900)
    a = both + 1.5 * first > 0
    b = 1.2 * both + second + 2.5 * (kind == 1)
    lines = ["both,first,second,noise,kind,a,b"]
    for k in range(900):
        number = "" if k % 11 == 0 else f"{first[k]:.4f}"
        lines.append(f"{both[k]:.4f},{number},{second[k]:.4f},{noise[k]:.4f},k{kind[k]},{'ny'[int(a[k])]},{b[k]:.4f}")
    (folder / "data.csv").write_text("\n".join(lines) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert cli.main_init(["input=data.csv", "target=[a,b]", "output=conf"]) == 0
        words = ["--config-dir", "conf", "task=a+b", "backbone=mlp", "backbone.hidden=[16]", "trainer.max_epochs=10"]
        assert cli.main([*words, *FAST, "hydra.run.dir=run"]) == 0
        assert cli.main_explain(["checkpoint=run", "output=out", "repeats=4", "quiet=true"]) == 0
    return folder


def rows_of(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_planted_columns_come_first_and_it_shows_which_are_shared(table):
    rows = rows_of(table / "out" / "importances.csv")
    order = {task: [row["input"] for row in rows if row["task"] == task] for task in "ab"}
    assert order["a"][:2] == ["first", "both"]
    assert set(order["b"][:3]) == {"both", "second", "kind"}
    serves = {row["input"]: row["serves"] for row in rows_of(table / "out" / "inputs.csv")}
    assert serves == {"both": "a+b", "first": "a", "second": "b", "kind": "b", "noise": ""}


def test_gradients_agree_and_add_up_to_the_difference_of_outputs(table):
    record = json.loads((table / "out" / "explanations.json").read_text())["datasets"]["a"]
    sizes = record["attributions"]
    assert min(sizes["a"]["first"], sizes["a"]["both"]) > 2 * max(sizes["a"]["noise"], sizes["a"]["second"])
    assert min(sizes["b"][name] for name in ("both", "second", "kind")) > 2 * sizes["b"]["noise"]
    assert max(record["largest_gap"].values()) < 0.1  # of logits up to 10


@pytest.mark.usefixtures("figures")
def test_one_task_alone_and_mistakes(table, monkeypatch, capsys):
    monkeypatch.chdir(table)
    assert cli.main_explain(["checkpoint=run", "output=one", "task=b", "repeats=2", "rows=100", "quiet=true"]) == 0
    assert {row["task"] for row in rows_of(table / "one" / "importances.csv")} == {"b"}
    assert (table / "one" / "importances.png").stat().st_size > 5000
    for word, told in (("task=c", "not a task of this run"), ("rows=1", "≥ 2"), ("split=dev", "one of train")):
        assert cli.main_explain(["checkpoint=run", "output=one", word]) == 2
        assert told in capsys.readouterr().err
    assert cli.main_explain(["checkpoint=run", "output=data.csv", "quiet=true"]) == 2
    assert "is a file" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.usefixtures("figures")
@pytest.mark.parametrize("backbone", ["gru", "ngrams"])  # an embedding that is called, and one that is not
def test_planted_words_come_first(tmp_path, monkeypatch, backbone):
    monkeypatch.chdir(tmp_path)
    stream = random.Random(0)
    lines = ["text,mood,topic"]
    for _ in range(500):
        words = [stream.choice(["the", "a", "was", "of", "then", "very"]) for _ in range(6)]
        mood, topic = stream.choice(["good", "bad"]), stream.choice(["film", "book"])
        words[stream.randrange(3)] = {"good": "lovely", "bad": "awful"}[mood]
        words[3 + stream.randrange(3)] = {"film": "actor", "book": "page"}[topic]
        lines.append(f"{' '.join(words)},{mood},{topic}")
    Path("data.csv").write_text("\n".join(lines) + "\n")
    assert cli.main_init(["input=data.csv", "target=[mood,topic]", "text=text", "output=conf"]) == 0
    small = {"gru": ["backbone.embedding=8", "backbone.width=16"], "ngrams": ["backbone.buckets=256"]}[backbone]
    words = ["--config-dir", "conf", "task=mood+topic", f"backbone={backbone}", *small, "trainer.max_epochs=8"]
    assert cli.main([*words, *FAST, "hydra.run.dir=run"]) == 0
    assert cli.main_explain(["checkpoint=run", "output=out", "repeats=2", "quiet=true"]) == 0
    rows = rows_of(tmp_path / "out" / "words.csv")
    planted = {"mood": ("awful", "lovely"), "topic": ("actor", "page")}
    for task, other in (("mood", "topic"), ("topic", "mood")):
        size = {row["piece"]: float(row["mean_size"]) for row in rows if row["task"] == task}
        assert max(size, key=size.get) in planted[task]  # of two words for two classes, one may be the rule without it
        assert sum(size[word] for word in planted[task]) > 2 * sum(size[word] for word in planted[other])
    assert Path("out/words_mood.png").stat().st_size > 5000


def test_planted_pixels_come_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf" / "task").mkdir(parents=True)
    tasks = {"tasks": {name: _toy.task(name) for name in ("quadrant", "sign")}}
    (tmp_path / "conf" / "task" / "toy.yaml").write_text("# @package _global_\n" + yaml.safe_dump(tasks))
    words = ["--config-dir", "conf", "task=toy", "trust=[tests]", "backbone.channels=[4]", "backbone.dense=[8]"]
    assert cli.main([*words, *FAST, "trainer.max_epochs=12", "hydra.run.dir=run"]) == 0
    assert cli.main_explain(["checkpoint=run", "output=out", "trust=[tests]", "quiet=true"]) == 0
    with np.load("out/pixels.npz") as found:
        says, rows = found["quadrant"], found["rows"]
    quadrants = _toy.Toy(1, 16, 0.0, False, -1, 48).split("test").labels("quadrant")[torch.from_numpy(rows)].tolist()
    shares = []
    for image, quadrant in zip(np.abs(says), quadrants, strict=True):
        top, left = 6 * (quadrant // 2), 6 * (quadrant % 2)
        shares.append(image[top : top + 6, left : left + 6].sum() / image.sum())
    assert np.median(shares) > 0.5  # of a quarter of the pixels
