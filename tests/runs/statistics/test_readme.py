"""The commands of the page work as they stand there, one after the other."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_readme import PROGRAMS, ROOT, commands

PAGE = ROOT / "mtl_cli" / "runs" / "statistics" / "README.md"


@pytest.mark.slow
def test_the_commands_of_the_page_work_one_after_the_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    subprocess.run([sys.executable, ROOT / "scripts" / "generate_examples.py"], check=True, capture_output=True)
    for program, *arguments in commands(PAGE):
        assert PROGRAMS[program]([*arguments, *(["trainer.max_steps=30"] if program == "mtl-train" else [])]) == 0
    last = sorted(Path("runs/fair/evaluations").iterdir())[-1]
    groups = json.loads((last / "groups.json").read_text())["groups"]
    assert {each["by"] for each in groups} == {"ward"}
