"""The commands of the page work as they stand there, one after the other."""

import json
from pathlib import Path

import pytest

from tests._pages import run_page


@pytest.mark.slow
def test_the_commands_of_the_page_work_one_after_the_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_page("runs/statistics", train=["trainer.max_steps=30"])
    last = sorted(Path("runs/fair/evaluations").iterdir())[-1]
    groups = json.loads((last / "groups.json").read_text())["groups"]
    assert {each["by"] for each in groups} == {"ward"}
