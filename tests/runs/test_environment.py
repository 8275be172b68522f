import subprocess

import pytest

from mtl_cli.files import read_json
from mtl_cli.runs import environment, run
from tests import _toy


def git(folder, *arguments):
    own = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *own, *arguments], cwd=folder, check=True, capture_output=True, timeout=60)


def test_a_run_records_command_seed_versions_hardware_and_git_state(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run.train(_toy.config(seed=7, trainer__max_epochs=1), tmp_path / "run", ["mtl-train", "seed=7"])
    found = read_json(tmp_path / "run" / "environment.json")
    assert found["command"] == ["mtl-train", "seed=7"]
    assert (found["seed"], found["deterministic"], found["git"]) == (7, False, None)
    assert {"torch", "numpy", "hydra-core"} <= set(found["packages"])
    assert found["processor"]
    assert found["cpus"] >= 1


def test_git_state_is_the_commit_and_the_number_of_changed_files(tmp_path):
    assert environment.git_state(tmp_path) is None
    git(tmp_path, "init")
    assert environment.git_state(tmp_path) is None  # no commit yet
    (tmp_path / "a").write_text("1")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-m", "first")
    state = environment.git_state(tmp_path)
    assert len(state["commit"]) == 40
    assert state["changed_files"] == 0
    (tmp_path / "a").write_text("22")
    (tmp_path / "b").write_text("not tracked")
    assert environment.git_state(tmp_path) == {**state, "changed_files": 1}


def test_a_machine_without_git_is_no_failure(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert environment.git_state(tmp_path) is None


@pytest.mark.parametrize("way", ["fsmonitor", "filter", "diff"])
def test_no_program_that_a_strangers_repository_names_is_run(tmp_path, way):
    git(tmp_path, "init")
    (tmp_path / "a").write_text("1")
    (tmp_path / ".gitattributes").write_text("a filter=evil diff=evil\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    program = tmp_path / "evil.sh"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\ncat\n")
    program.chmod(0o755)
    key = {"fsmonitor": "core.fsmonitor", "filter": "filter.evil.clean", "diff": "diff.evil.textconv"}[way]
    git(tmp_path, "config", key, str(program))
    (tmp_path / "a").write_text("2")
    assert environment.git_state(tmp_path)["changed_files"] >= 1
    assert not (tmp_path / "ran").exists()
