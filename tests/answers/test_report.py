import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mtl_cli import cli
from tests.answers._runs import write

OLD = Path(__file__).parent.parent / "old_runs" / "0.1.0"


@pytest.fixture(autouse=True)
def _no_figures(monkeypatch):
    """Figures take most of the time; test_page.py draws them."""
    monkeypatch.setattr("mtl_cli.answers.figures.figures_of", lambda *_: {})


def sweep(folder, seeds=3):
    for name, value in (("hard", 0.9), ("independent", 0.8)):
        for seed in range(seeds):
            metrics = {"a/loss": 1.0, "a/accuracy": value + seed / 100, "b/rmse": 2 - value + seed / 500}
            write(folder / f"{name}{seed}", metrics, sharing=name, seed=seed, lower=("b/rmse",))
    return folder


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_sweep_gives_a_verdict_and_tables(tmp_path, capsys):
    assert cli.main_report([str(sweep(tmp_path / "s"))]) == 0
    out = capsys.readouterr().out
    assert "sharing=hard: better than sharing=independent; Δm +" in out
    found = {(row["setting"], row["metric"]): row for row in rows(tmp_path / "s" / "verdict.csv")}
    own = found["sharing=hard", "b/rmse"]
    assert (own["better"], own["n"], own["verdict"]) == ("lower", "3", "better")
    assert float(own["mean"]) == pytest.approx(1.102)
    assert float(own["difference"]) == pytest.approx(-0.1)
    assert found["sharing=independent", "a/accuracy"]["verdict"] == "baseline"
    assert "Holm" in (tmp_path / "s" / "verdict.md").read_text()
    (costs,) = [row for row in rows(tmp_path / "s" / "settings.csv") if row["setting"] == "sharing=hard"]
    assert [float(costs[key]) for key in ("parameters", "flops", "samples_per_second", "seconds")] == [
        1000,
        5000,
        10,
        2,
    ]
    assert len(rows(tmp_path / "s" / "runs.csv")) == 6
    assert r"sharing=hard & a/accuracy & 0.9100 $\pm$ 0.0100" in (tmp_path / "s" / "verdict.tex").read_text()


def test_several_runs_and_another_folder_for_the_report(tmp_path):
    folder = sweep(tmp_path / "s")
    names = [str(folder / name) for name in ("hard0", "hard1", "independent0", "independent1")]
    assert cli.main_report([*names, "baseline=hard", f"output={tmp_path / 'out'}"]) == 0
    found = rows(tmp_path / "out" / "verdict.csv")
    assert {row["baseline"] for row in found if row["setting"] == "sharing=independent"} == {"sharing=hard"}
    assert {path.name for path in folder.iterdir()} == {Path(n).name for n in names} | {"hard2", "independent2"}


def test_runs_of_older_versions_are_read(tmp_path, capsys):
    for name in ("table", "images"):
        shutil.copytree(OLD / name, tmp_path / name)
        (tmp_path / name / "status.json").write_text('{"status": "completed"}')
    assert cli.main_report([str(tmp_path / "table")]) == 0
    assert "older versions do not say what data they read" in capsys.readouterr().out
    assert [row["mean"] for row in rows(tmp_path / "table" / "verdict.csv")]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "needs the directory of a run or sweep"),
        (["nowhere"], "No run or sweep at nowhere"),
        (["empty"], "empty holds no run"),
        (["failed"], "None of the runs is complete"),
        (["s", "baseline=mmoe"], "neither a directory nor one of the settings: sharing=hard; sharing=independent"),
        (["s", "baselin=hard"], "no 'baselin'. Did you mean 'baseline'?"),
        (["s", "margin=much"], "margin is 'much'; it is a share in percent"),
        (["s", "output=file/x"], "Name another folder by output=DIR"),
        (["broken"], "broken: The run's config"),
    ],
)
def test_bad_input_ends_in_a_message(words, told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    sweep(Path("s"), 2)
    write(Path("failed"), {}, status="failed")
    write(Path("broken"), {})
    Path("broken", "config.yaml").write_text("seed: 0\nevil: 1\n")
    Path("empty").mkdir()
    Path("file").write_text("x")
    assert cli.main_report(words) == 2
    assert told in capsys.readouterr().err


def test_a_damaged_summary_or_record_does_not_hurt_others(tmp_path, capsys):
    folder = sweep(tmp_path / "s")
    (folder / "hard0" / "summary.json").write_text(json.dumps({"test": [1], "data": 3, "best_val": None, "steps": {}}))
    (folder / "hard1" / "metrics.jsonl").write_text("{\n1\n[]\n")
    assert cli.main_report([str(folder)]) == 0
    assert "lack a/accuracy" in capsys.readouterr().out


def test_torch_is_not_imported(tmp_path):
    sweep(tmp_path / "s", 2)
    script = (
        "import sys\nfrom mtl_cli import cli\n"
        "code = cli.main_report(sys.argv[1:])\nassert 'torch' not in sys.modules\nsys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "s")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
