"""Whole measurements of generated problems."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from mtl_cli import cli
from mtl_cli.affinity.continuing import line_of, measured_before
from mtl_cli.affinity.measure import Wanted, measure
from mtl_cli.affinity.probe import AffinityProbe, Measured
from mtl_cli.errors import UserError
from mtl_cli.runs import run
from tests._toy import config, task
from tests.affinity._planted import NAMES, groups_of, planted


def found_groups(record):
    return [next(i for i, group in enumerate(record["groups"]) if name in group) for name in record["tasks"]]


@pytest.mark.usefixtures("figures")
def test_planted_groups_are_found_and_everything_about_them_is_written(tmp_path):
    record = measure(planted(0, 6, 3), tmp_path / "out", Wanted(3, 4), ["task=a+b+c+d+e+f", "sharing=hard"])
    assert adjusted_rand_score(groups_of(0, 6, 3), found_groups(record)) == 1.0
    out = tmp_path / "out"
    assert json.loads((out / "groups.json").read_text()) == record
    assert record["exact"]
    assert [each["budget"] for each in record["by_budget"]] == [1, 2, 3]
    with (out / "affinity.csv").open(newline="") as file:
        head, *rows = list(csv.reader(file))
    assert head == ["of", *NAMES[:6]]
    matrix = np.array([[float(value) for value in row[1:]] for row in rows])
    assert (matrix.argmax(axis=1) == np.arange(6)).all()  # a step for a task helps this task most
    assert (out / "affinity.png").stat().st_size > 1000
    assert (out / "cosines.png").exists()
    steps = [json.loads(line)["step"] for line in (out / "affinity.jsonl").read_text().splitlines()]
    assert steps == list(range(0, 48, 4))
    labels = (out / "labels.csv").read_text().splitlines()
    assert len(labels) == 1 + 15
    text = (out / "conf" / "experiment" / "groups_3.yaml").read_text()
    assert "override /sharing: groups" in text
    assert "task=a+b+c+d+e+f experiment=groups_3" in text
    assert "sharing=hard" not in text


def test_the_joint_run_is_what_it_would_be_without_measuring(tmp_path):
    measure(planted(1, 4, 2), tmp_path / "out", Wanted(None, 12), [])
    run.train(planted(1, 4, 2), tmp_path / "plain", [])
    assert (tmp_path / "out" / "run" / "metrics.jsonl").read_text() == (
        tmp_path / "plain" / "metrics.jsonl"
    ).read_text()


@pytest.mark.slow
def test_a_measurement_that_was_killed_goes_on_to_the_same_result(tmp_path, monkeypatch):
    wanted, files = Wanted(2, 4), ("affinity.jsonl", "affinity.csv", "cosine.csv", "groups.json", "run/metrics.jsonl")
    whole = measure(planted(0, 4, 2), tmp_path / "whole", wanted, [])
    deaths, taken = [2, 29, 41], AffinityProbe.backward  # before any checkpoint, and in two epochs

    def dying(probe, step):
        if deaths and step.index == deaths[0]:
            deaths.pop(0)
            raise KeyboardInterrupt
        return taken(probe, step)

    monkeypatch.setattr(AffinityProbe, "backward", dying)
    out = tmp_path / "killed"
    while deaths:
        with pytest.raises(KeyboardInterrupt):
            measure(planted(0, 4, 2), out, wanted, [])
        with (out / "affinity.jsonl").open("a") as file:
            file.write('{"step": 4')  # what was being written
    with pytest.raises(UserError, match="holds something already"):
        measure(planted(0, 4, 2), out, Wanted(2, 5), [])
    assert measure(planted(0, 4, 2), out, wanted, []) == whole
    assert [(out / name).read_bytes() for name in files] == [(tmp_path / "whole" / name).read_bytes() for name in files]
    with pytest.raises(UserError, match="holds something already"):
        measure(planted(0, 4, 2), out, wanted, [])


def test_a_measurement_whose_steps_are_lost_does_not_go_on(tmp_path):
    lines = [line_of(Measured(step, [[1.0, float("nan")]] * 2, [[0.5, 0.25]] * 2)) for step in (0, 4, 8)]
    path = tmp_path / "affinity.jsonl"
    path.write_text("".join(lines))
    assert [each.step for each in measured_before(path, 8, 4)] == [0, 4]
    assert path.read_text() == "".join(lines[:2])
    with pytest.raises(UserError, match="has lost"):
        measured_before(path, 9, 4)


@pytest.mark.slow
def test_planted_groups_are_found_in_twenty_problems(tmp_path):
    scores = []
    for seed in range(20):
        tasks, groups = 6 + seed % 4, 2 + seed % 2
        record = measure(planted(seed, tasks, groups), tmp_path / str(seed), Wanted(groups, 4), [])
        scores.append(adjusted_rand_score(groups_of(seed, tasks, groups), found_groups(record)))
    assert np.mean(scores) >= 0.9, scores
    shuffled = [adjusted_rand_score(groups_of(seed, 6, 3), groups_of(seed + 100, 6, 3)) for seed in range(20)]
    assert np.mean(shuffled) < 0.5


@pytest.mark.parametrize(
    ("changes", "wanted", "message"),
    [
        ({"tasks": {"sign": task("sign")}}, Wanted(None, 1), "there is only sign"),
        ({"sharing": {"_target_": "mtl_cli.sharing.independent.Independent"}}, Wanted(None, 1), "Use sharing=hard"),
        ({}, Wanted(None, 1, 1), r"2 tasks, and at most 1 are .* by ~tasks.NAME \(~tasks.*most=2"),
        ({}, Wanted(3, 1), "budget is 3, and there are 2 tasks. Use budget=2"),
        ({}, Wanted(None, 100), "every is 100, and the run has 6 steps"),
    ],
)
def test_what_cannot_be_measured_is_refused(tmp_path, changes, wanted, message):
    with pytest.raises(UserError, match=message):
        measure(config(**changes), tmp_path / "out", wanted, [])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["task=mnist_digits+letters"], "mtl-affinity needs output=."),
        (["output=o", "budget=0"], "budget is '0'; it is a whole number ≥ 1"),
        (["output=o", "every=x"], "every is 'x'"),
        (["output=o", "task=mnist_digit"], "mnist_digits"),
        (["output=o", "trainer.max_epoch=1"], "trainer.max_epochs=1"),
    ],
)
def test_bad_words_are_told(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    assert cli.main_affinity(words) == 2
    assert message in capsys.readouterr().err
    assert list(Path.cwd().iterdir()) == []


def test_the_program_measures_and_its_configs_train(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own = ["task=multi_mnist_left+multi_mnist_right", "backbone=mlp", "backbone.hidden=[8]", "trainer.max_steps=2"]
    assert cli.main_affinity([*own, "output=o", "every=1"]) == 0
    assert "precision: fp32" in Path("o/run/config.yaml").read_text()
    assert cli.main(["--config-dir", "o/conf", *own, "experiment=groups_2", "hydra.run.dir=r"]) == 0
    assert "mtl_cli.sharing.groups.Groups" in Path("r/config.yaml").read_text()
    assert cli.main_affinity([*own, "output=o"]) == 2  # something is there
