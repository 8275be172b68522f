"""The commands of the page work as they stand there, one after the other."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_readme import PROGRAMS, ROOT, commands

PAGE = ROOT / "mtl_cli" / "runs" / "explanations" / "README.md"


@pytest.mark.slow
def test_the_commands_of_the_page_work_one_after_the_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for script in ("generate_examples.py", "generate_texts.py"):
        subprocess.run([sys.executable, ROOT / "scripts" / script], check=True, capture_output=True)
    for program, *arguments in commands(PAGE):
        shorter = ["trainer.max_steps=20"] if program == "mtl-train" else []
        assert PROGRAMS[program]([*arguments, *shorter, *(["repeats=2"] if program == "mtl-explain" else [])]) == 0
    assert Path("explained/reviews/words_topic.png").exists()
    assert Path("explained/medicine/importances.png").exists()
