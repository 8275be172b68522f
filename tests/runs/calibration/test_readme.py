"""The commands of the page work as they stand there, one after the other."""

from pathlib import Path

import pytest

from tests._pages import run_page


@pytest.mark.slow
def test_the_commands_of_the_page_work_one_after_the_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_page("runs/calibration", train=["trainer.max_steps=30"])
    head = Path("predicted.csv").read_text().partition("\n")[0].split(",")
    assert {"readmitted_set_1", "stay_low", "stay_high"} <= set(head)
