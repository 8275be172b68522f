"""The commands of the page work as they stand there, one after the other."""

from pathlib import Path

import pytest

from tests._pages import run_page


@pytest.mark.slow
def test_the_commands_of_the_page_work_one_after_the_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scripts = ("generate_examples.py", "generate_texts.py")
    run_page("runs/explanations", scripts, train=["trainer.max_steps=20"], explain=["repeats=2"])
    assert Path("explained/reviews/words_topic.png").exists()
    assert Path("explained/medicine/importances.png").exists()
