"""The worked examples of conf/experiment/ on a small part of their generated tables."""

import csv
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from mtl_cli.commands.compose import hydra_session, plain_config
from mtl_cli.config.shipped import conf_dir
from mtl_cli.runs import run
from mtl_cli.runs.predict import predict

SCRIPT = Path(__file__).parents[1] / "scripts" / "generate_examples.py"
spec = importlib.util.spec_from_file_location("generate_examples", SCRIPT)
examples = importlib.util.module_from_spec(spec)
spec.loader.exec_module(examples)
NAMES = sorted(path.stem for path in (conf_dir() / "experiment").glob("*.yaml"))


def test_there_is_one_for_recommendation_and_one_for_medicine():
    assert {"recommendation", "medicine"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_header_says_command_hardware_runtime_and_what_to_expect(name):
    head = (conf_dir() / "experiment" / f"{name}.yaml").read_text(encoding="utf-8").partition("defaults:")[0]
    assert f"mtl-train experiment={name}" in head
    assert all(f"# {word}:" in head for word in ("command", "hardware", "runtime", "expected"))


@pytest.mark.parametrize("name", ["recommendation", "medicine"])
def test_an_example_trains_every_task_and_predicts(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").mkdir()
    table = Path("examples") / f"{name}.csv"
    examples.write(table, getattr(examples, name)(rows=800)[0])
    with hydra_session() as session:
        config = plain_config(session.compose([f"experiment={name}", "trainer.max_epochs=1"]))
    summary = run.train(config, tmp_path / "run", [])
    assert {key.partition("/")[0] for key in summary["test"]} == set(config["tasks"])
    assert all(np.isfinite(value) for value in summary["test"].values())
    assert predict(tmp_path / "run", table, Path("out.csv"), {}) == 800
    with Path("out.csv").open(newline="") as file:
        columns = next(csv.reader(file))
    assert all(any(column.startswith(f"{task}_") for column in columns) for task in config["tasks"])


def test_the_tables_are_the_same_every_time_and_what_is_best_predicts_them():
    for make in (examples.recommendation, examples.medicine):
        first, best = make(rows=2000)
        again, _ = make(rows=2000)
        for name, values in first.items():
            assert np.array_equal(values, again[name])
        assert all(len(values) == 2000 for values in best.values())
    columns, best = examples.recommendation(rows=20_000)
    bins = np.digitize(best["clicked"], [0.1, 0.3, 0.5, 0.7, 0.9])
    for each in range(6):  # what was called a probability is the share of clicks
        assert columns["clicked"][bins == each].mean() == pytest.approx(best["clicked"][bins == each].mean(), abs=0.03)
    columns, best = examples.medicine(rows=20_000)
    assert columns["readmitted"].mean() == pytest.approx(best["readmitted"].mean(), abs=0.01)
    assert columns["stay"].mean() == pytest.approx(best["stay"].mean(), rel=0.02)
