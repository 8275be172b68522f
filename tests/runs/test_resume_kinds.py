"""Runs on every kind of dataset: killed at a step they resume to the same bytes; workers change no bit."""

import pytest
import torch

from mtl_cli.runs import run
from tests import _kinds
from tests._resuming import assert_same_run, die_at
from tests._thinned import thinned


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kinds")
    _kinds.write_files(folder)
    return folder


@pytest.fixture(scope="module")
def whole(files):
    """The undisturbed run of a kind, made once."""
    done = {}

    def of(kind):
        if kind not in done:
            done[kind] = files / f"whole {kind}"
            run.train(_kinds.config(kind, files), done[kind], [])
        return done[kind]

    return of


@pytest.mark.parametrize("kind", thinned(_kinds.KINDS, ["table", "text"]))
def test_a_killed_run_resumes_to_the_same_bytes(kind, files, whole, tmp_path, monkeypatch):
    die_at(monkeypatch, 4, lambda: run.train(_kinds.config(kind, files), tmp_path / "parts", []))  # saved after step 3
    die_at(monkeypatch, 8, lambda: run.resume(tmp_path / "parts", {}, []))
    run.resume(tmp_path / "parts", {}, [])
    assert_same_run(whole(kind), tmp_path / "parts")


@pytest.mark.parametrize("kind", thinned(_kinds.KINDS, ["mapped table", "text"]))
@pytest.mark.parametrize("workers", thinned([1, 2, 3], [3]))
def test_the_number_of_workers_changes_no_bit(kind, workers, files, whole, tmp_path):
    config = _kinds.config(kind, files, data__workers=workers, deterministic=True)
    run.train(config, tmp_path / "run", [])
    assert_same_run(whole(kind), tmp_path / "run")
    assert not torch.are_deterministic_algorithms_enabled()
