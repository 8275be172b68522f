"""Heads that see targets in training and generate otherwise; outputs by name; targets that are sets of any size."""

import csv

import pytest
import torch

from mtl_cli.runs import evaluation, run
from mtl_cli.runs.predict import predict
from tests import _toy
from tests.runs._codes import CodeRows, config_tasks

BACKBONE = {
    "_target_": "mtl_cli.backbones.mlp.MLP", "hidden": [64], "dropout": 0.0, "activation": "relu", "init": "default",
}  # fmt: skip


def config(**changes):
    changes = {"tasks": config_tasks(), "trainer__max_steps": 300, "trainer__max_epochs": None, **changes}
    return _toy.config(backbone=BACKBONE, **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        pytest.param(
            {"trainer__accumulate": 2, "sharing": {"_target_": "mtl_cli.sharing.soft.Soft", "strength": 0.001}},
            marks=pytest.mark.slow,
        ),
        {
            "weighting": {
                "_target_": "mtl_cli.weightings.upgrad.UPGrad", "level": "features", "update_every": 1,
                "match_norm": "none",
            }
        },
    ],
    ids=["hard, fixed", "soft, accumulated", "gradients at the features"],
)  # fmt: skip
def test_codes_are_written_by_what_was_generated_and_sets_are_found(tmp_path, changes):
    test = run.train(config(**changes), tmp_path / "run", [])["test"]
    assert test["reverse/exact"] > 0.9
    assert test["zeros/exact"] > 0.9
    rows = CodeRows(400, 2)
    labelled = torch.arange(400) % 5 != 0
    empty = ((rows.digits != 0).all(dim=1) & labelled).sum() / labelled.sum()
    assert test["zeros/empty"] == pytest.approx(float(empty), abs=1e-6), "empty sets count, rows without a label do not"


def test_metrics_never_see_the_target_that_the_loss_sees(tmp_path):
    """A head that copies its target has no loss, and writes nonsense by itself: of 4⁴ codes it gets one right."""
    tasks = config_tasks(cheats=True, names=["reverse"])
    test = run.train(config(tasks=tasks, trainer__max_steps=10), tmp_path / "run", [])["test"]
    assert test["reverse/loss"] < 1e-6
    assert test["reverse/exact"] < 0.05


def test_new_codes_are_predicted_and_a_checkpoint_evaluates_to_the_same(tmp_path):
    summary = run.train(config(), tmp_path / "run", [])
    again = evaluation.evaluate_checkpoint(tmp_path / "run", {"trust": ["tests"]}, [])["metrics"]
    assert again == pytest.approx(summary["test"], abs=1e-6)
    (tmp_path / "new.txt").write_text("0123\n3210\n0000\n1231\n2222\n")
    assert predict(tmp_path / "run", tmp_path / "new.txt", tmp_path / "out.csv", {"trust": ["tests"]}) == 5
    with (tmp_path / "out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["row"] for row in rows] == ["0123", "3210", "0000", "1231", "2222"]
    right = [row["reverse_prediction"] == row["row"][::-1] for row in rows]
    assert sum(right) >= 4
    assert rows[2]["zeros_prediction"] == "0 1 2 3"
    assert rows[4]["zeros_prediction"] == ""


def test_a_run_with_generated_outputs_resumes_to_the_same_bytes(tmp_path):
    changes = {"trainer__max_steps": 60, "save__every": 14, "save__keep": 9, "ema__decay": 0.9}
    changed = _toy.config(backbone={**BACKBONE, "dropout": 0.1}, tasks=config_tasks(), **changes)
    run.train(changed, tmp_path / "run", [])
    whole = (tmp_path / "run" / "metrics.jsonl").read_bytes()
    run.resume(tmp_path / "run" / "checkpoints" / "step_00000042.pt", {"trust": ["tests"]}, [])
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == whole
