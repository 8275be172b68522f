"""What is tried before a run: a dry run, a range of learning rates, a few batches learnt by heart, rates of parts."""

import csv
import json
from pathlib import Path

import pytest
import torch
import yaml

from mtl_cli import cli
from mtl_cli.runs.trials import Point, standing_out
from mtl_cli.storage import checkpoint
from tests import _toy

COMMAND = [
    "--config-dir", "conf", "task=toy", "trust=[tests]", "data.batch_size=16", "backbone.channels=[4]",
    "backbone.dense=[16]", "backbone.dropout=0", "trainer.max_epochs=2", "trainer.device=cpu", "trainer.precision=fp32",
    "hydra.run.dir=run",
]  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with the toy tasks, whose labels are noise in `noise`."""
    (tmp_path / "conf" / "task").mkdir(parents=True)
    for name, shuffled in (("toy", False), ("noise", True)):
        tasks = {each: {**_toy.task(each), "dataset": _toy.dataset(shuffled=shuffled)} for each in ("quadrant", "sign")}
        text = "# @package _global_\n" + yaml.safe_dump({"tasks": tasks})
        (tmp_path / "conf" / "task" / f"{name}.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def summary(path="run"):
    return json.loads(Path(path, "summary.json").read_text())


def test_a_dry_run_says_what_would_run_and_writes_nothing(folder, capsys):
    before = sorted(path.name for path in folder.iterdir())
    assert cli.main([*COMMAND, "dry_run=true"]) == 0
    told = capsys.readouterr().out
    assert "the first of 6 steps would take 16 rows of quadrant, with labels of quadrant, sign" in told
    assert sorted(path.name for path in folder.iterdir()) == before
    assert cli.main([*COMMAND, "dry_run=true", "backbone.dense=[0]"]) == 2


def test_a_few_batches_are_learnt_by_heart_even_where_nothing_can_be_learnt(folder):
    noise = [word.replace("task=toy", "task=noise") for word in COMMAND]
    longer = [
        "trainer.max_epochs=80",
        "trainer.eval_every=80",
        "lr_schedule=constant",
        "optimizer.lr=0.01",
        "quiet=true",
    ]
    assert cli.main([*noise, "overfit=1", *longer]) == 0
    assert summary()["test"]["quadrant/accuracy"] == summary()["test"]["sign/accuracy"] == 1.0
    assert cli.main_eval(["checkpoint=run", "trust=[tests]", "quiet=true"]) == 0  # on the real rows
    (out,) = Path("run", "evaluations").iterdir()
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["data"]["quadrant"]["rows"] == 24
    assert metrics["metrics"]["quadrant/accuracy"] < 0.7


@pytest.mark.usefixtures("figures")
def test_a_range_test_draws_the_loss_and_proposes_a_rate(folder, capsys):
    assert cli.main([*COMMAND, "lr_range_test=true", "quiet=true"]) == 0
    with Path("run", "lr_range_test.csv").open() as file:
        rows = list(csv.DictReader(file))
    rates = [float(row["lr"]) for row in rows]
    assert rates[0] == pytest.approx(1e-7)
    assert rates[1] / rates[0] == pytest.approx(rates[-1] / rates[-2])
    assert float(rows[0]["loss"]) == pytest.approx(float(rows[0]["quadrant"]) + float(rows[0]["sign"]), rel=1e-5)
    assert Path("run", "lr_range_test.png").stat().st_size > 5000
    proposed = float(capsys.readouterr().out.partition("Try optimizer.lr=")[2].split(". ")[0])
    assert 1e-4 < proposed < 0.3
    assert cli.main([*COMMAND, "quiet=true"]) == 0  # the folder holds no run yet
    assert cli.main([*COMMAND, "lr_range_test=true"]) == 2


def test_the_rate_of_the_steepest_fall_of_a_hand_case():
    smoothed = [2.0] * 40 + [2.0 - 0.05 * k for k in range(20)] + [1.05 - 0.001 * k for k in range(20)] + [5.0] * 5
    points = [Point(float(k), value, value, {}) for k, value in enumerate(smoothed)]
    found = standing_out(points)
    assert found["least"] == 79
    assert 45 <= found["steepest"] <= 55


def weights(path):
    return checkpoint.load(checkpoint.find(Path(path), "last"))["model"]


def test_parts_have_learning_rates_of_their_own(folder):
    assert cli.main([*COMMAND, "quiet=true"]) == 0
    for factors, name in (("{trunk: 1, heads: 1}", "same"), ("{trunk: 0, sign: 0.5}", "other")):
        words = [word.replace("run.dir=run", f"run.dir={name}") for word in COMMAND]
        assert cli.main([*words, f"optimizer.lr_factors={factors}", "optimizer.weight_decay=0", "quiet=true"]) == 0
    words = [word.replace("run.dir=run", "run.dir=none") for word in COMMAND]
    assert cli.main([*words, "optimizer.weight_decay=0", "quiet=true"]) == 0
    plain, same, other = weights("none"), weights("same"), weights("other")
    assert all(torch.equal(plain[key], same[key]) for key in plain)
    longer = [word.replace("run.dir=run", "run.dir=still").replace("max_epochs=2", "max_epochs=1") for word in COMMAND]
    assert cli.main([*longer, "optimizer.lr_factors={trunk: 0}", "optimizer.weight_decay=0", "quiet=true"]) == 0
    still = weights("still")
    trunk = [key for key in other if key.startswith("sharing") and "running" not in key and "tracked" not in key]
    assert trunk
    assert all(torch.equal(still[key], other[key]) for key in trunk)  # it stays where it began
    assert not torch.equal(plain[trunk[0]], other[trunk[0]])
    assert cli.main(["resume=other", "trust=[tests]", "trainer.max_epochs=3", "quiet=true"]) == 0
    assert all(torch.equal(weights("other")[key], other[key]) for key in trunk)


@pytest.mark.parametrize(
    ("factors", "told"),
    [
        ("{trunc: 1}", "names 'trunc'"),
        ("{sign: -1}", "≥ 0"),
        ("{sign: a}", "≥ 0"),
        ("[1]", "lr_factors is [1]; it is a factor for each part"),
        ("0.1", "lr_factors is 0.1; it is a factor for each part"),
    ],
)
def test_wrong_rates_of_parts_are_refused(folder, factors, told, capsys):
    assert cli.main([*COMMAND, f"optimizer.lr_factors={factors}"]) == 2
    assert told in capsys.readouterr().err
