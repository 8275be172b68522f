"""The page on privacy: its commands work."""

import json

import pytest

from tests._pages import run_page


@pytest.mark.slow
def test_the_commands_of_the_page_work_one_after_the_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_page("privacy", train=["trainer.max_steps=4", "data.batch_size=32"])
    assert "## Privacy\n\nTrained by DP-SGD: 4 steps spent ε = " in (tmp_path / "my_bundle" / "card.md").read_text()
    told = json.loads((tmp_path / "runs" / "private" / "summary.json").read_text())["privacy"]
    assert 2.9 < told["epsilon"] <= 3.0
