import json

import pytest

from mtl_cli import cli
from mtl_cli.answers.searches import read_search
from tests.answers._runs import write

TRIALS = [
    {"number": 0, "state": "complete", "score": 0.5, "overrides": {"lr": "0.1"}, "metrics": {"a/x": 0.6, "b/y": 2.0}},
    {"number": 1, "state": "complete", "score": 0.7, "overrides": {"lr": "0.2"}, "metrics": {"a/x": 0.7, "b/y": None}},
    {"number": 2, "state": "pruned", "score": 0.4, "overrides": {"lr": "0.3"}, "metrics": {}},
    {"number": 3, "state": "failed", "score": None, "overrides": {"lr": "0.4"}, "metrics": {}},
]


def search(folder, **changes):
    """The search.json of four trials, and the runs of those that are complete."""
    winner = {"number": 1, "overrides": {"lr": "0.2"}, "score": 0.7, "gains": {}, "runs": ["one"]}
    told = {
        "search": "tpe",
        "choose": "mean_gain",
        "trials": TRIALS,
        "lower_is_better": ["b/y"],
        "pareto_front": [0, 1],
    }
    for name, rate in (("zero", 0.1), ("one", 0.2)):
        write(folder / name, {}, val={"a/x": 0.5 + rate, "b/y": 2.0}, lower=("b/y",), optimizer__lr=rate)
    (folder / "search.json").write_text(json.dumps({**told, "winner": winner, **changes}))
    return folder


def test_a_report_on_a_search_names_the_winner_and_compares_with_it(tmp_path, capsys):
    assert cli.main_report([str(search(tmp_path / "s"))]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "search=tpe of 3 trials (2 complete, 1 pruned): trial 1 won with lr=0.2, score 0.7000" in out
    assert "optimizer.lr=0.2 baseline 0.7000" in out
    page = (tmp_path / "s" / "report.html").read_text()
    assert "Trials of the search" in page
    assert "trial 1 won with lr=0.2" in page
    assert {"trials.svg", "pareto.svg"} <= {path.name for path in (tmp_path / "s" / "figures").iterdir()}
    assert cli.main_report([str(tmp_path / "s"), "baseline=optimizer.lr=0.1"]) == 0
    assert "optimizer.lr=0.1 baseline" in " ".join(capsys.readouterr().out.split())


def test_a_file_of_an_older_version_or_a_damaged_one_is_no_search(tmp_path):
    old = [{key: each[key] for key in ("number", "state", "score")} for each in TRIALS]
    assert read_search(search(tmp_path / "old", trials=old)) is None
    assert read_search(search(tmp_path / "won", trials=TRIALS[:1])) is None
    assert read_search(search(tmp_path / "runs", trials={"a": 1})) is None
    for run in ("/etc", "../old/one"):
        winner = {"number": 1, "overrides": {}, "runs": [run]}
        assert read_search(search(tmp_path / f"out{len(run)}", winner=winner)) is None
    (tmp_path / "runs" / "search.json").write_text("[")
    assert read_search(tmp_path / "runs") is None
    assert read_search(search(tmp_path / "whole")).trials[2].state == "pruned"


@pytest.mark.slow
def test_the_winner_on_training_and_validation_rows_is_named_and_not_compared(tmp_path, capsys):
    folder = search(tmp_path / "s", retrained="again")
    again = write(folder / "again", {"a/x": 0.9}, optimizer__lr=0.2, data__train_on="train+val")
    assert cli.main_report([str(folder)]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert f"{again} is the winner on training and validation rows." in out
    assert "train_on" not in out
    assert cli.main_report([str(folder), str(again), f"output={tmp_path / 'out'}"]) == 0
    assert "train_on" in capsys.readouterr().out
