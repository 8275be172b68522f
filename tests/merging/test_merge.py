"""Runs of one task each, merged by the command and compared with joint training."""

import csv
import json
import shutil

import pytest
import torch

from mtl_cli import cli
from mtl_cli.errors import UserError
from mtl_cli.merging.merge import SCALES, common_tensors
from mtl_cli.runs import run
from mtl_cli.storage import checkpoint
from tests import _toy

TASKS = {name: _toy.task(name) for name in ("quadrant", "sign")}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run that others start from, two of each task alone, and a joint one."""
    folder = tmp_path_factory.mktemp("runs")
    run.train(_toy.config(tasks=TASKS, seed=9), folder / "start", [])
    for name, tasks in {"q": ["quadrant"], "s": ["sign"], "joint": list(TASKS)}.items():
        made = _toy.config(tasks={task: TASKS[task] for task in tasks}, init_from=str(folder / "start"))
        run.train(made, folder / "sweep" / name, [])
    return folder


@pytest.fixture(autouse=True)
def _no_figures(monkeypatch):
    monkeypatch.setattr("mtl_cli.answers.figures.figures_of", lambda *_: {})


def weights(path):
    return checkpoint.load(checkpoint.find(path, "best"))["model"]


def test_merged_models_are_settings_beside_joint_training(runs, tmp_path):
    sweep = tmp_path / "sweep"
    shutil.copytree(runs / "sweep", sweep)
    line = [str(sweep), "merge=[task_arithmetic,ties]", "trust=[tests]"]
    assert cli.main_report(line) == 0
    with (sweep / "settings.csv").open(newline="", encoding="utf-8") as file:
        names = [row["setting"] for row in csv.DictReader(file)]
    assert [sum(f"merge={method}" in name for name in names) for method in ("task_arithmetic", "ties")] == [1, 1]
    out = sweep / "merged" / "task_arithmetic" / "seed_0"
    record = json.loads((out / "merge.json").read_text())
    assert set(record["scores"]) == {str(scale) for scale in SCALES}
    assert record["scores"][str(record["scale"])] == max(record["scores"].values())
    own, start = weights(out), weights(runs / "start")
    one, other = weights(sweep / "q"), weights(sweep / "s")
    for name, tensor in own.items():
        if name.startswith("heads."):
            expected = (one if "quadrant" in name else other)[name]
        else:
            expected = start[name] + record["scale"] * (one[name] + other[name] - 2 * start[name])
        torch.testing.assert_close(tensor, expected)
    written = (out / "summary.json").read_bytes()
    assert cli.main_report(line) == 0  # a second time nothing is merged again
    assert (out / "summary.json").read_bytes() == written
    assert cli.main_eval([f"checkpoint={out}", "trust=[tests]", "bootstrap=0"]) == 0
    tested = json.loads(
        (out / "evaluations" / next(p.name for p in (out / "evaluations").iterdir()) / "metrics.json").read_text()
    )
    assert tested["metrics"] == pytest.approx(json.loads(written)["test"])


def test_runs_without_a_common_initialisation_are_refused(runs, tmp_path, capsys):
    run.train(_toy.config(tasks={"sign": TASKS["sign"]}), tmp_path / "fresh", [])
    for paths, reason in (
        ([runs / "sweep" / "q", tmp_path / "fresh"], "common initialisation"),
        ([runs / "sweep" / "q"], "two or more tasks"),
    ):
        assert cli.main_report([*map(str, paths), "merge=ties", "trust=[tests]", f"output={tmp_path / 'out'}"]) == 2
        assert reason in capsys.readouterr().err
    made = _toy.config(tasks={"sign": TASKS["sign"]}, init_from=str(tmp_path / "fresh"))
    run.train(made, tmp_path / "elsewhere", [])
    paths = [str(runs / "sweep" / "q"), str(tmp_path / "elsewhere")]
    assert cli.main_report([*paths, "merge=ties", "trust=[tests]", f"output={tmp_path / 'out'}"]) == 2
    assert "it started from" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_other_batch_sizes_may_be_merged_but_not_other_frozen_stages(runs, tmp_path, capsys):
    changes = {"batch": {"data__batch_size": 8}, "frozen": {"freeze": "stages:1"}}
    for name, change in changes.items():
        made = _toy.config(
            tasks={"sign": TASKS["sign"]}, init_from=str(runs / "start"), trainer__max_epochs=1, **change
        )
        run.train(made, tmp_path / name, [])
    words = [str(runs / "sweep" / "q"), "merge=ties", "trust=[tests]"]
    assert cli.main_report([*words, str(tmp_path / "batch"), f"output={tmp_path / 'one'}"]) == 0
    merged = tmp_path / "one" / "merged" / "ties" / "seed_0"
    before = weights(merged)
    assert cli.main([f"resume={merged}", "trust=[tests]"]) == 0  # there is nothing left to train
    assert all(torch.equal(tensor, before[name]) for name, tensor in weights(merged).items())
    capsys.readouterr()
    assert cli.main_report([*words, str(tmp_path / "frozen"), f"output={tmp_path / 'two'}"]) == 2
    assert "freeze is stages:1 there and none here. Train both with freeze=none." in capsys.readouterr().err


def test_an_unknown_method_is_named(runs, capsys):
    assert cli.main_report([str(runs / "sweep"), "merge=tie"]) == 2
    assert "merge is 'tie'; it is task_arithmetic or ties." in capsys.readouterr().err


def test_a_stem_that_several_tasks_need_is_not_taken_from_one_of_them():
    weight, own = torch.zeros(1), torch.ones(1)
    parameters = {"sharing.trunk.0.stems.a.weight": weight, "sharing.trunk.1.weight": own}
    ends = {"a": dict(parameters), "b": {"sharing.trunk.0.stems.b.weight": weight, "sharing.trunk.1.weight": own}}
    start = {"sharing.trunk.1.weight": own}
    found = common_tensors(parameters, {"a": {id(weight)}, "b": set()}, start, ends)
    assert list(found) == ["sharing.trunk.1.weight"]
    with pytest.raises(UserError, match=r"stems\.a\.weight did not start from the same values"):
        common_tensors(parameters, {"a": set(), "b": set()}, start, ends)
