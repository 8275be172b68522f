"""A task's node names the metrics that are reported; the first one is what the task is selected by."""

import json
from pathlib import Path

import pytest
import yaml

from mtl_cli import cli
from tests import _toy

COMMAND = [
    "--config-dir", "conf", "task=toy", "trust=[tests]", "data.batch_size=16", "backbone.channels=[4]",
    "backbone.dense=[8]", "trainer.max_epochs=1", "trainer.device=cpu", "trainer.precision=fp32", "quiet=true",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _conf(tmp_path, monkeypatch):
    (tmp_path / "conf" / "task").mkdir(parents=True)
    tasks = {"quadrant": {**_toy.task("quadrant"), "metrics": ["f1"]}, "sign": _toy.task("sign")}
    (tmp_path / "conf" / "task" / "toy.yaml").write_text("# @package _global_\n" + yaml.safe_dump({"tasks": tasks}))
    monkeypatch.chdir(tmp_path)


def test_only_the_chosen_metrics_are_reported_with_the_same_values(capsys):
    assert cli.main([*COMMAND, "hydra.run.dir=run"]) == 0
    assert cli.main([*COMMAND, "hydra.run.dir=all", "~tasks.quadrant.metrics"]) == 0
    few, everything = (json.loads(Path(name, "summary.json").read_text())["test"] for name in ("run", "all"))
    assert set(everything) - set(few) == {"quadrant/accuracy"}
    assert few == {name: everything[name] for name in few}
    assert cli.main_eval(["checkpoint=run", "trust=[tests]", "quiet=true"]) == 0
    (out,) = Path("run", "evaluations").iterdir()
    record = json.loads((out / "metrics.json").read_text())
    assert set(record["metrics"]) == set(record["intervals"]) == set(few)


def test_the_first_one_decides():
    from mtl_cli.config.run_config import checked
    from mtl_cli.config.targets import Trust
    from mtl_cli.runs.build import build

    config = checked(_toy.config())
    node = config["tasks"]["sign"]
    config["tasks"]["sign"] = {**node, "metrics": ["f1", "accuracy"]}
    tasks = build(config, Trust(("tests",), ())).job.tasks
    assert (tasks["sign"].primary, tasks["quadrant"].primary) == ("f1", "accuracy")
    assert tasks["sign"].reported == ("f1", "accuracy")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["++tasks.sign.metrics=[f2]"], "names some of accuracy, f1"),
        (["++tasks.sign.metrics=[]"], "names some of"),
        (["++tasks.sign.metrics=[1]"], "a list of names"),
        (["selection.metric=quadrant/accuracy"], "no task reports it"),
    ],
)
def test_metrics_that_are_not_there_are_refused(words, told, capsys):
    assert cli.main([*COMMAND, *words]) == 2
    assert told in capsys.readouterr().err
