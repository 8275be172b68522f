"""Predictions of several checkpoints: means and spreads of what each says alone."""

import csv
from pathlib import Path

import numpy as np
import pytest

from mtl_cli import cli
from mtl_cli.commands.program import listed
from mtl_cli.runs.ensemble import voted
from tests.runs.statistics.test_fairness import PLAIN, USUAL, write


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write(Path("data.csv"), rows=150)
        assert cli.main_init(["input=data.csv", "target=[sick,ward,cost]", "output=conf"]) == 0
        for seed in range(3):
            words = ["--config-dir", "conf", "task=sick+ward+cost", *USUAL, *PLAIN, f"seed={seed}"]
            assert cli.main([*words, "trainer.max_epochs=2", f"hydra.run.dir=run{seed}"]) == 0
            words = [f"checkpoint=run{seed}", "input=data.csv", f"output=alone{seed}.csv", "quiet=true"]
            assert cli.main_predict(words) == 0
        words = ["checkpoint=[run0,run1,run2]", "input=data.csv", "output=together.csv", "quiet=true", "batch_size=64"]
        assert cli.main_predict(words) == 0
    return folder


def rows_of(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_numbers_are_means_with_their_spread_and_classes_those_of_the_mean_probabilities(folder):
    alone = [rows_of(folder / f"alone{seed}.csv") for seed in range(3)]
    found = rows_of(folder / "together.csv")
    assert len(found) == 150
    for name in ("cost_prediction", "ward_probability_w0", "ward_probability_w2"):
        values = np.array([[float(row[name]) for row in rows] for rows in alone])
        assert [float(row[name]) for row in found] == pytest.approx(values.mean(axis=0), rel=1e-4, abs=1e-6)
        spread = [float(row[f"{name}_spread"]) for row in found]
        assert spread == pytest.approx(values.std(axis=0, ddof=1), rel=1e-3, abs=1e-5)
    for row, *each in zip(found, *alone, strict=True):
        wards = {f"w{k}": float(row[f"ward_probability_w{k}"]) for k in range(3)}
        assert row["ward_prediction"] == max(wards, key=wards.get)
        agree = np.mean([one["ward_prediction"] == row["ward_prediction"] for one in each])
        assert float(row["ward_prediction_agreement"]) == pytest.approx(agree, abs=1e-4)
    (positive,) = [name for name in found[0] if name.startswith("sick_probability_") and "spread" not in name]
    label = positive.removeprefix("sick_probability_")
    for row in found:
        assert (row["sick_prediction"] == label) == (float(row[positive]) > 0.5)


def test_what_most_say_wins_and_the_first_of_a_tie():
    said, share = voted([np.array(["a", "a", "b"]), np.array(["b", "a", "c"]), np.array(["b", "a", "d"])])
    assert said.tolist() == ["b", "a", "b"]
    assert share == pytest.approx([2 / 3, 1.0, 1 / 3])


def test_checkpoints_that_do_not_fit_are_refused(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    assert listed("[a, 'b c']") == ["a", "b c"]
    assert cli.main_predict(["checkpoint=[run0,none]", "input=data.csv", "output=x.csv"]) == 2
    assert "No checkpoint at none" in capsys.readouterr().err
    words = ["--config-dir", "conf", "task=sick", *USUAL, *PLAIN, "trainer.max_epochs=1", "hydra.run.dir=other"]
    assert cli.main(words) == 0
    assert cli.main_predict(["checkpoint=[run0,other]", "input=data.csv", "output=x.csv"]) == 2
    assert "other tasks or classes" in capsys.readouterr().err
    assert (
        cli.main_predict(["checkpoint=[run0,other]", "input=data.csv", "output=x.csv", "tasks=[sick]", "quiet=true"])
        == 0
    )
