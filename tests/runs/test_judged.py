"""A run that is compared with others while it trains."""

import json

import pytest

from mtl_cli.errors import Pruned
from mtl_cli.runs import run
from tests._toy import config


def records(directory):
    return [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]


def test_a_judge_is_told_every_validation_score_and_the_test_split_is_not_looked_at(tmp_path):
    told = []
    summary = run.train(config(), tmp_path / "run", [], judge=lambda epoch, score: told.append((epoch, score)))
    evals = [record for record in records(tmp_path / "run") if record["kind"] == "eval"]
    assert told == [(record["epoch"], record["selection"]) for record in evals]
    assert [record["split"] for record in evals] == ["val", "val"]
    assert summary["test"] == {}
    gains = [each["gain"] for each in summary["primary"].values()]
    assert sum(gains) / len(gains) == pytest.approx(summary["selection"]["best"])


def test_a_run_that_is_stopped_says_so_and_can_go_on_to_what_an_undisturbed_one_gives(tmp_path):
    with pytest.raises(Pruned, match="hopeless"):
        run.train(config(), tmp_path / "run", [], judge=lambda epoch, score: "hopeless")
    status = json.loads((tmp_path / "run" / "status.json").read_text())
    assert (status["status"], status["reason"], status["epoch"]) == ("pruned", "hopeless", 1)
    told = []
    with pytest.raises(Pruned):  # continued, it tells the last score again before it trains
        run.resume(tmp_path / "run", {"trust": ["tests"]}, [], judge=lambda epoch, score: told.append(epoch) or "still")
    assert told == [1]
    run.resume(tmp_path / "run", {"trust": ["tests"]}, [])
    run.train(config(), tmp_path / "whole", [])
    assert records(tmp_path / "run") == records(tmp_path / "whole")
    primary = [json.loads((tmp_path / name / "summary.json").read_text())["primary"] for name in ("run", "whole")]
    assert primary[0] == primary[1]


def test_a_judge_does_not_stop_a_run_that_is_at_its_end(tmp_path):
    summary = run.train(config(), tmp_path / "run", [], judge=lambda epoch, score: "hopeless" if epoch == 2 else None)
    assert summary["steps"] == 6
