"""The page on privacy: its commands work."""

import json
import subprocess
import sys

import pytest

from tests.test_readme import PROGRAMS, ROOT, commands

PAGE = ROOT / "mtl_cli" / "privacy" / "README.md"


@pytest.mark.slow
def test_the_commands_of_the_page_work_one_after_the_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    subprocess.run([sys.executable, ROOT / "scripts" / "generate_examples.py"], check=True, capture_output=True)
    for program, *arguments in commands(PAGE):
        shorter = ["trainer.max_steps=4", "data.batch_size=32"] if program == "mtl-train" else []
        assert PROGRAMS[program]([*arguments, *shorter]) == 0, program
    assert "## Privacy\n\nTrained by DP-SGD: 4 steps spent ε = " in (tmp_path / "my_bundle" / "card.md").read_text()
    told = json.loads((tmp_path / "runs" / "private" / "summary.json").read_text())["privacy"]
    assert 2.9 < told["epsilon"] <= 3.0
