import json
import logging
from pathlib import Path

import pytest

from mtl_cli import cli
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


def test_of_equal_scores_the_one_with_the_lowest_loss_is_the_best(tmp_path):
    config = _toy.config(tasks={"quadrant": _toy.task("quadrant")}, trainer__max_epochs=20, optimizer__lr=0.05)
    summary = run.train(config, tmp_path / "run", [])
    found = evaluations(tmp_path / "run")
    best = max(found, key=lambda record: (record["selection"], -record["metrics"]["quadrant/loss"]))
    equal = [record["step"] for record in found if record["selection"] == best["selection"]]
    assert summary["selection"]["best_step"] == best["step"] > equal[0]
    assert summary["best_val"] == best["metrics"]


@pytest.mark.parametrize("metric", ["selection", "early_stopping"])
def test_the_loss_decides_where_the_metric_that_is_asked_for_is_not_defined(tmp_path, caplog, metric):
    config = _toy.config(tasks={"sign": sign()}, trainer__max_epochs=5)
    config[metric]["metric"] = "sign/auc"
    config["early_stopping"]["patience"] = 2
    with caplog.at_level(logging.WARNING, logger="mtl_cli"):
        summary = run.train(config, tmp_path / "run", [])
    told = [text for text in caplog.messages if text.startswith("sign/auc is not defined on the validation data")]
    assert len(told) == 1
    assert "sign/loss decides in its place" in told[0]
    losses = [record["metrics"]["sign/loss"] for record in evaluations(tmp_path / "run")]
    if metric == "selection":
        assert summary["selection"]["metric"] == "sign/loss"
        assert summary["selection"]["best"] == min(losses)
        assert summary["selection"]["best_step"] == 3 * (1 + losses.index(min(losses)))
    best = [min(losses[: count + 1]) for count in range(len(losses))]
    stale = len(losses) - 1 - best.index(best[-1])
    assert stale == 2 or len(losses) == 5


def test_an_early_stop_is_told_with_its_reason(tmp_path, caplog):
    config = _toy.config(tasks={"sign": sign()}, trainer__max_epochs=30, early_stopping__patience=1)
    config["optimizer"]["lr"] = 10.0
    with caplog.at_level(logging.INFO, logger="mtl_cli"):
        run.train(config, tmp_path / "run", [])
    status = json.loads((tmp_path / "run" / "status.json").read_text())
    assert status["status"] == "completed"
    assert status["reason"].startswith(f"Stopped early after step {status['step']} of 90: the mean validation loss has")
    assert f"{status['reason']}." in caplog.messages
    assert run.resume(tmp_path / "run", {"trust": ["tests"]}, [])["steps"] == status["step"]


def test_the_best_step_of_a_validation_split_of_one_class_is_not_the_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    case = Path(__file__).parent.parent / "cases" / "one_class_validation.csv"
    assert cli.main_init([f"input={case}", "target=[bin]", "output=conf"]) == 0
    words = ["task=bin", "backbone=tabular", "tasks.bin.dataset.split_column=split", "tasks.bin.dataset.stratify=null"]
    words += ["tasks.bin.dataset.drop=[reg,cls]", "trainer.max_epochs=15", "quiet=true", "hydra.run.dir=run"]
    assert cli.main(["--config-dir", "conf", *words]) == 0
    summary = json.loads(Path("run/summary.json").read_text())
    assert summary["selection"]["best_step"] > summary["steps"] / 15
    assert summary["test"]["bin/accuracy"] > 0.9
