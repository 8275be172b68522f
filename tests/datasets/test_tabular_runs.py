"""Whole runs on a table, from the command line: what was fitted travels with the checkpoint."""

import csv
import json
import random
import runpy
import sys
from pathlib import Path

import pytest
import torch

import mtl_cli
from mtl_cli import cli
from mtl_cli.errors import UserError
from tests.tables._files import write_csv

HEADER = ["age", "job", "hours", "income", "tips"]


def rows(count, seed):
    stream = random.Random(seed)
    body = []
    for _ in range(count):
        age, job = stream.randint(18, 80), stream.choice(["chef", "nurse", "pilot"])
        tips = round(age / 10 + 3 * (job == "chef") + stream.gauss(0, 0.3), 3)
        rich = age + 30 * (job == "pilot") + stream.gauss(0, 4) > 60
        body.append(
            ["" if stream.random() < 0.1 else age, job, round(stream.gauss(40, 9), 1), "yes" if rich else "no", tips]
        )
    return body


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_csv(tmp_path / "data.csv", HEADER, rows(300, 0))
    assert cli.main_init(["input=data.csv", "target=[income,tips]", "output=conf"]) == 0
    return tmp_path


def train(*words):
    usual = ["--config-dir", "conf", "task=income+tips", "backbone=tabular", "backbone.hidden=[32,16]", "quiet=true"]
    usual += [
        "trainer.device=cpu",
        "trainer.precision=fp32",
        "data.batch_size=32",
        "trainer.max_epochs=8",
        "optimizer.lr=0.01",
    ]
    return cli.main([*usual, *words])


def summary(path):
    return json.loads((Path(path) / "summary.json").read_text())


def evaluation(path, number=0):
    found = sorted((Path(path) / "evaluations").iterdir())[number]
    return json.loads((found / "metrics.json").read_text())["metrics"]


def test_a_run_learns_and_evaluation_agrees_to_the_last_digit(folder):
    assert train("hydra.run.dir=run") == 0
    test = summary("run")["test"]
    assert test["income/auc"] > 0.9
    assert test["tips/r2"] > 0.6
    assert cli.main_eval(["checkpoint=run", "quiet=true"]) == 0
    assert evaluation("run") == test


def test_evaluation_on_another_file_uses_the_training_files_statistics(folder):
    assert train("hydra.run.dir=run") == 0
    body = [row for row in rows(80, 7) if row[0] != "" and row[0] > 50]  # other statistics than in training
    write_csv(folder / "other.csv", [*HEADER, "extra"], [[*row, "x"] for row in body])
    words = [f"tasks.{task}.dataset.test_path=other.csv" for task in ("income", "tips")]
    assert cli.main_eval(["checkpoint=run", "quiet=true", *words]) == 0
    assert cli.main_predict(["checkpoint=run", "input=other.csv", "output=out.csv", "quiet=true"]) == 0
    with (folder / "out.csv").open(newline="") as lines:
        table = list(csv.DictReader(lines))
    errors = [abs(float(row["tips_prediction"]) - float(row["tips"])) for row in table]
    right = [row["income_prediction"] == row["income"] for row in table]
    metrics = evaluation("run")
    assert metrics["tips/mae"] == pytest.approx(sum(errors) / len(errors), rel=1e-4)
    assert metrics["income/accuracy"] == pytest.approx(sum(right) / len(right))


def test_a_checkpoint_holds_plain_data_and_no_rows(folder):
    assert train("hydra.run.dir=run", "trainer.max_epochs=1") == 0
    [file] = (folder / "run" / "checkpoints").glob("*.pt")
    [state] = torch.load(file, weights_only=True)["datasets"].values()
    assert state["inputs"]["numbers"] == ["age", "hours"]
    assert sorted(state["inputs"]["vocabularies"][0]) == ["chef", "nurse", "pilot"]
    assert state["targets"]["income"]["classes"] == ["no", "yes"]


def test_resuming_gives_what_a_whole_run_gives(folder):
    steady = ["lr_schedule=constant", "trainer.max_epochs=4"]
    assert train("hydra.run.dir=whole", *steady) == 0
    assert train("hydra.run.dir=parts", "lr_schedule=constant", "trainer.max_epochs=2") == 0
    assert cli.main(["resume=parts", "trainer.max_epochs=4", "quiet=true"]) == 0
    assert summary("parts")["test"] == summary("whole")["test"]


def test_a_sweep_over_folds_gives_their_mean(folder, capsys):
    words = ["-m", "data.folds=3", "data.fold=0,1,2", "hydra.sweep.dir=sweep", "trainer.max_epochs=2"]
    assert train(*words) == 0
    with (folder / "sweep" / "summary.csv").open(newline="") as lines:
        table = list(csv.DictReader(lines))
    assert sorted(row["data.fold"] for row in table) == ["0", "1", "2"]
    auc = [float(row["test/income/auc"]) for row in table]
    assert len(set(auc)) == 3
    assert f"{sum(auc) / 3:.4f} ±" in capsys.readouterr().out


def test_a_source_that_holds_an_earlier_runs_state_is_not_taken_by_the_next_job(folder):
    assert train("hydra.run.dir=first", "trainer.max_epochs=1") == 0
    reference = summary("first")["test"]
    body = [[999, "nurse", 1.0, "yes", 3.0]] * 100 + [[1, "chef", 0.0, "no", 2.0]] * 100
    write_csv(folder / "odd.csv", HEADER, body)
    odd = [f"tasks.{task}.dataset.path=odd.csv" for task in ("income", "tips")]
    assert train("hydra.run.dir=odd", "trainer.max_epochs=1", *odd) == 0
    back = [f"tasks.{task}.dataset.path=data.csv" for task in ("income", "tips")]
    assert cli.main_eval(["checkpoint=odd", "quiet=true", *back]) == 0  # data.csv by the statistics of odd.csv
    assert train("hydra.run.dir=second", "trainer.max_epochs=1") == 0
    assert summary("second")["test"] == reference


def test_without_pyarrow_the_command_that_installs_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UserError, match=r"pip install 'mtl-cli\[tables\]'"):
        runpy.run_path(str(Path(mtl_cli.__file__).parent / "tables" / "arrow.py"))


def test_evaluations_and_predictions_are_in_float32_unless_asked_otherwise(folder):
    assert train("hydra.run.dir=run", "trainer.precision=bf16", "trainer.max_epochs=2") == 0
    test, distinct = summary("run")["test"], {}
    for precision in ("fp32", "bf16", "auto"):
        word = f"trainer.eval_precision={precision}"
        assert cli.main_predict(["checkpoint=run", "input=data.csv", "output=out.csv", "quiet=true", word]) == 0
        with (folder / "out.csv").open(newline="") as lines:
            found = [row["income_probability_yes"] for row in csv.DictReader(lines)]
        distinct[precision] = len(set(found))
    assert distinct["fp32"] > 280
    assert distinct["bf16"] == distinct["auto"] < 260  # bf16 has 8 bits
    assert cli.main_eval(["checkpoint=run", "quiet=true", "trainer.precision=fp32"]) == 0
    assert evaluation("run") == test  # the run's own evaluation was in float32, too
