"""A calibrated checkpoint: stored once, used by predictions, and otherwise the same."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mtl_cli import cli
from mtl_cli.storage import checkpoint
from tests.runs.statistics.test_fairness import PLAIN, USUAL, write


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write(Path("data.csv"))
        assert cli.main_init(["input=data.csv", "target=[sick,cost]", "output=conf", "drop=[age,ward]"]) == 0
        words = ["--config-dir", "conf", "task=sick+cost", *USUAL, *PLAIN, "hydra.run.dir=run"]
        assert cli.main(words) == 0
        assert cli.main_eval(["checkpoint=run", "quiet=true", "bootstrap=0"]) == 0
        assert cli.main_predict(["checkpoint=run", "input=data.csv", "output=plain.csv", "quiet=true"]) == 0
        assert cli.main_eval(["checkpoint=run", "calibrate=true", "thresholds=f1", "quiet=true", "bootstrap=0"]) == 0
        assert cli.main_predict(["checkpoint=run", "input=data.csv", "output=honest.csv"]) == 0
        assert cli.main_eval(["checkpoint=run", "quiet=true", "bootstrap=0"]) == 0
    return folder


def rows_of(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_predictions_go_by_what_is_stored(folder):
    plain, honest = rows_of(folder / "plain.csv"), rows_of(folder / "honest.csv")
    state = checkpoint.load(checkpoint.find(folder / "run", "best"))["calibration"]
    temperature = state["sick"]["temperature"]
    (name,) = [column for column in plain[0] if column.startswith("sick_probability_")]
    before, after = (np.array([float(row[name]) for row in rows]) for rows in (plain, honest))
    inner = (before > 1e-4) & (before < 1 - 1e-4)
    odds = np.log(before / (1 - before))[inner] / temperature
    assert after[inner] == pytest.approx(1 / (1 + np.exp(-odds)), abs=1e-4)
    cut = state["sick"]["decision"][0][0]
    positive = name.removeprefix("sick_probability_")
    assert [row["sick_prediction"] == positive for row in honest] == (after > cut).tolist()
    margin = state["cost"]["margins"][0]
    for row in honest[:50]:
        assert float(row["cost_high"]) - float(row["cost_prediction"]) == pytest.approx(margin, rel=1e-3)
    assert set(honest[0]) - set(plain[0]) == {"sick_set_n", "sick_set_y", "cost_low", "cost_high"}


def test_nothing_else_of_the_checkpoint_changes(folder):
    out = sorted((folder / "run" / "evaluations").iterdir())
    first, last = (json.loads((out[k] / "metrics.json").read_text()) for k in (0, -1))
    assert first == last
    record = json.loads((out[1] / "calibration.json").read_text())
    assert record["checks"]["sick"]["coverage"] == pytest.approx(0.9, abs=0.09)
    assert record["checks"]["cost"]["coverage"] == pytest.approx(0.9, abs=0.09)
    assert record["checks"]["sick"]["log_loss_calibrated"] < record["checks"]["sick"]["log_loss"] + 0.02


def test_figures_of_probabilities_and_residuals_are_drawn_by_each_evaluation(folder):
    for out in (folder / "run" / "evaluations").iterdir():
        drawn = {path.name for path in out.glob("*.png")}
        assert {"confusion_sick.png", "probabilities_sick.png", "residuals_cost.png"} <= drawn


def test_a_calibration_of_another_task_is_refused(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    state = checkpoint.load(checkpoint.find(Path("run"), "best"))
    for wrong, told in (({"temperature": -1.0}, "cannot be used"), ({"decision": [[1.0] * 3] * 3}, "2 classes")):
        state["calibration"]["sick"] = wrong
        torch.save(state, tmp_path / "other.pt")
        words = [f"checkpoint={tmp_path / 'other.pt'}", "input=data.csv", f"output={tmp_path / 'out.csv'}"]
        assert cli.main_predict(words) == 2
        assert told in capsys.readouterr().err


def test_rows_of_the_fit_are_not_those_of_the_check(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    assert cli.main_eval(["checkpoint=run", "calibrate=true", "split=val"]) == 2
    assert "Use split=test" in capsys.readouterr().err
    assert cli.main_eval(["checkpoint=run", "calibrate=true", "thresholds={cost: f1}"]) == 2
    assert "not a task with classes" in capsys.readouterr().err
