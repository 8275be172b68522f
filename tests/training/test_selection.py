import json
import logging

import pytest

from mtl_cli.runs import run
from tests import _toy


class OneSign(_toy.Toy):
    """Toy data whose validation and test rows have one sign, so that the sign's AUC is not defined there."""

    def split(self, name):
        split = super().split(name)
        if name != "train":
            split.fields["sign"] = split.fields["sign"] * 0 + 1
        return split


def sign():
    node = _toy.task("sign")
    node["dataset"]["_target_"] = "tests.training.test_selection.OneSign"
    return {**node, "_target_": "mtl_cli.tasks.binary.Binary", "class_weights": None, "focal_gamma": 0.0}


def evaluations(folder):
    records = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return [record for record in records if record["kind"] == "eval" and record["split"] == "val"]


def test_a_task_whose_metric_is_not_defined_is_left_out_of_the_skill_with_a_warning(tmp_path, caplog):
    config = _toy.config(tasks={"quadrant": _toy.task("quadrant"), "sign": sign()}, trainer__max_epochs=4)
    with caplog.at_level(logging.WARNING, logger="mtl_cli"):
        summary = run.train(config, tmp_path / "both", [])
    assert [text for text in caplog.messages if "sign/auc" in text and "mean over the other tasks" in text]
    shares = []
    for record in evaluations(tmp_path / "both"):
        accuracy, skill = record["metrics"]["quadrant/accuracy"], record["selection"]
        shares.append((accuracy - skill) / (1 - skill))  # accuracy of the trivial predictor, in 24ths of the rows
    assert len(shares) == 4
    assert shares == pytest.approx([round(24 * shares[0]) / 24] * 4)
    assert summary["selection"]["metric"] == "skill"


def test_the_mean_loss_decides_where_no_task_has_a_skill(tmp_path, caplog):
    config = _toy.config(tasks={"sign": sign()}, trainer__max_epochs=4)
    with caplog.at_level(logging.WARNING, logger="mtl_cli"):
        summary = run.train(config, tmp_path / "run", [])
    assert [text for text in caplog.messages if "sign/auc" in text and "mean validation loss decides" in text]
    losses = [record["metrics"]["sign/loss"] for record in evaluations(tmp_path / "run")]
    assert [record["selection"] for record in evaluations(tmp_path / "run")] == pytest.approx(losses)
    assert summary["selection"]["metric"] == "loss"
    assert summary["selection"]["lower_is_better"] is True
    assert summary["selection"]["best"] == pytest.approx(min(losses))
    best = 3 * (1 + losses.index(min(losses)))
    assert summary["selection"]["best_step"] == best
    again = run.resume(tmp_path / "run", {"trust": ["tests"]}, [])
    assert again["selection"] == summary["selection"]
