"""The commands of the page work as they stand there, one after the other."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_readme import PROGRAMS, ROOT, commands

PAGE = ROOT / "mtl_cli" / "runs" / "calibration" / "README.md"


@pytest.mark.slow
def test_the_commands_of_the_page_work_one_after_the_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    subprocess.run([sys.executable, ROOT / "scripts" / "generate_examples.py"], check=True, capture_output=True)
    for program, *arguments in commands(PAGE):
        assert PROGRAMS[program]([*arguments, *(["trainer.max_steps=30"] if program == "mtl-train" else [])]) == 0
    head = Path("predicted.csv").read_text().partition("\n")[0].split(",")
    assert {"readmitted_set_1", "stay_low", "stay_high"} <= set(head)
