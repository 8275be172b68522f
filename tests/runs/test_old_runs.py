"""Run directories of 0.1.0, interrupted after step 10: they resume to the recorded numbers, and evaluate."""

import json
import shutil
from pathlib import Path

import pytest
import reference_runs

from mtl_cli import cli

OLD = Path(__file__).parents[1] / "old_runs" / "0.1.0"


@pytest.fixture(params=["images", "table"])
def old(request, tmp_path, monkeypatch):
    shutil.copytree(OLD, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path / request.param


def records(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_an_old_run_resumes_to_the_recorded_numbers(old):
    assert cli.main([f"resume={old}", "quiet=true"]) == 0
    apart = list(reference_runs.numbers_apart(records(old / "whole.jsonl"), records(old / "metrics.jsonl")))
    assert len(apart) > 50
    assert max(apart) < 1e-3  # other processors round otherwise
    summary, wanted = json.loads((old / "summary.json").read_text()), json.loads((old / "test.json").read_text())
    assert summary["test"] == pytest.approx(wanted, abs=1e-2)


def test_an_old_run_evaluates(old):
    assert cli.main_eval([f"checkpoint={old}"]) == 0
    (written,) = old.glob("evaluations/*/metrics.json")
    found = json.loads(written.read_text())
    assert found["checkpoint"] == "step_00000008.pt"
    assert set(json.loads((old / "test.json").read_text())) == set(found["metrics"])


@pytest.mark.slow
@pytest.mark.parametrize("name", list(reference_runs.RUNS))
def test_a_reference_run_gives_the_recorded_bytes(name):
    assert reference_runs.difference(name, reference_runs.run(name)) is None
