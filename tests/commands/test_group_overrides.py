"""Overrides of tasks of a group: as if each task were a node of its own."""

import json
import subprocess
import sys

import pytest
import yaml

from mtl_cli import cli
from mtl_cli.commands.compose import hydra_session
from mtl_cli.commands.composed_run import compose_run
from mtl_cli.commands.group_overrides import in_group
from mtl_cli.commands.sweeps.sweep import plan
from mtl_cli.config.run_config import checked
from mtl_cli.errors import UserError

TASKS = {
    "assay": {"targets": {"A": {"weight": 2.0}, "B": {}, "C-d": None}, "weight": 1.0, "head": {"hidden": []}},
    "letters": {"weight": 1.0},
}
TASK = """\
# @package _global_
defaults:
  - /dataset@tasks.assay.dataset: tabular
tasks:
  assay:
    _target_: mtl_cli.tasks.binary.Binary
    targets: {A: {weight: 2.0}, B: {}, C: {}}
    weight: 1.0
    label_smoothing: 0.0
    class_weights: null
    focal_gamma: 0.0
    head: {_target_: mtl_cli.heads.mlp.MLPHead, hidden: [], dropout: 0.0, activation: relu, init: default}
    dataset: {path: data.csv}
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "task").mkdir()
    (tmp_path / "task" / "assay.yaml").write_text(TASK)
    return tmp_path


def composed(folder, *overrides):
    with hydra_session(folder) as session:
        return compose_run(session, ["task=assay", "backbone=tabular", *overrides]).config


def problems(folder, *overrides):
    with hydra_session(folder) as session, pytest.raises(UserError) as caught:
        compose_run(session, ["task=assay", "backbone=tabular", *overrides])
    return caught.value.problems


REWRITTEN = [
    ("tasks.A.weight=3", "++tasks.assay.targets.A.weight=3"),
    ("tasks.B.head.hidden=[8,8]", "++tasks.assay.targets.B.head.hidden=[8,8]"),
    ("tasks.C-d.weight=1,2", "++tasks.assay.targets.C-d.weight=1,2"),
    ("+tasks.B.column=b", "++tasks.assay.targets.B.column=b"),
    ("++tasks.B.column=b", "++tasks.assay.targets.B.column=b"),
    ("~tasks.A", "~tasks.assay.targets.A"),
    ("~tasks.A.weight", "~tasks.assay.targets.A.weight"),
]
KEPT = [
    *("tasks.assay.weight=3", "~tasks.assay", "tasks.letters.weight=0", "tasks.B.weigth=1", "~tasks.B.weight"),
    *("tasks.D.weight=1", "trainer.device=cpu", "task=a+b", "dataset@tasks.A.dataset=tabular", "tasks=A", "~tasks.D"),
]


@pytest.mark.parametrize(("text", "expected"), REWRITTEN)
def test_an_override_of_a_task_becomes_one_of_its_group(text, expected):
    assert in_group(text, TASKS) == expected


@pytest.mark.parametrize("text", KEPT)
def test_other_overrides_stay_as_they_are(text):
    assert in_group(text, TASKS) == text


def test_values_of_one_task_are_set_and_added(folder):
    config = composed(
        folder, "tasks.B.weight=3", "tasks.C.head.hidden=[8]", "+tasks.C.column=c", "tasks.assay.weight=0.5"
    )
    assert config["tasks"]["assay"]["targets"]["B"] == {"weight": 3}
    tasks = checked(config)["tasks"]
    assert {name: node["weight"] for name, node in tasks.items()} == {"A": 2.0, "B": 3, "C": 0.5}
    assert [tasks[name]["head"]["hidden"] for name in "ABC"] == [[], [], [8]]
    assert tasks["C"]["column"] == "c"


def test_tasks_are_left_out(folder):
    assert list(checked(composed(folder, "~tasks.A", "~tasks.C"))["tasks"]) == ["B"]
    [problem] = problems(folder, "~tasks.A", "~tasks.B", "~tasks.C")
    assert "tasks.assay.targets is empty, so it names no task. Leave the whole group out: ~tasks.assay." in problem


def test_mistakes_are_reported_with_what_was_typed_and_the_nearest_key(folder):
    found = problems(
        folder, "tasks.asay.weight=3", "tasks.B.weigth=3", "~tasks.D", "~tasks.A.head", "trainer.max_epoch=2"
    )
    assert found == [
        "Unknown key 'tasks.asay.weight' in tasks.asay.weight=3. Did you mean 'tasks.assay.weight'? Use "
        "tasks.assay.weight=3.",
        "Unknown key 'tasks.B.weigth' in tasks.B.weigth=3. Did you mean 'tasks.B.weight'? Use tasks.B.weight=3.",
        "Unknown key 'tasks.D' in ~tasks.D. tasks has assay, A, B, C.",
        "~tasks.A.head is a value of the whole group. Leave it out there: ~tasks.assay.head.",
        "Unknown key 'trainer.max_epoch' in trainer.max_epoch=2. Did you mean 'trainer.max_epochs'? Use "
        "trainer.max_epochs=2.",
    ]


def test_a_label_may_be_read_otherwise_than_in_other_files_of_the_folder(folder):
    text = TASK.replace("{A: {weight: 2.0}, B: {}, C: {}}", "{X: {}}").replace("assay", "other")
    (folder / "task" / "other.yaml").write_text(text.replace("    weight:", '    missing: "?"\n    weight:'))
    config = composed(folder, "+tasks.B.missing=[-1,-2]", "+tasks.C.column=c")
    assert checked(config)["tasks"]["B"]["missing"] == [-1, -2]


def test_a_bad_value_is_reported_under_the_tasks_name(folder):
    [problem] = problems(folder, "tasks.B.weight=-1")
    assert problem.startswith("tasks.B.weight is -1; it is a number")


def test_a_task_that_is_left_out_cannot_be_changed(folder):
    [problem] = problems(folder, "~tasks.B", "tasks.B.weight=3")
    assert problem.startswith("Unknown key 'tasks.B.weight' in tasks.B.weight=3.")


def test_values_of_a_task_are_swept(folder):
    with hydra_session(folder) as session:
        sweep = plan(session, ["task=assay", "backbone=tabular", "tasks.B.weight=1,2", "~tasks.C"])
    assert [job.swept for job in sweep.jobs] == [{"tasks.B.weight": "1"}, {"tasks.B.weight": "2"}]
    assert [checked(job.config)["tasks"]["B"]["weight"] for job in sweep.jobs] == [1, 2]
    assert [list(checked(job.config)["tasks"]) for job in sweep.jobs] == [["A", "B"]] * 2
    assert "++tasks.assay.targets.B.weight=1" in sweep.jobs[0].overrides, "for a launcher, where Hydra composes again"


def test_cfg_shows_one_node_and_takes_the_same_overrides(folder, capsys):
    typed = ["--config-dir", str(folder), "--cfg", "job", "task=assay", "tasks.B.weight=3", "~tasks.A"]
    assert cli.main(typed) == 0
    tasks = yaml.safe_load(capsys.readouterr().out)["tasks"]
    assert list(tasks) == ["assay"]
    assert tasks["assay"]["targets"] == {"B": {"weight": 3}, "C": {}}


COST = """
import sys, time
from mtl_cli import cli
code = cli.main(sys.argv[1:])
from pathlib import Path
from mtl_cli.commands.compose import hydra_session
from mtl_cli.commands.composed_run import compose_run
from mtl_cli.config.run_config import checked, config_hash
composed = time.process_time()
with hydra_session(Path(sys.argv[2])) as session:
    config = compose_run(session, ["task=assay", "backbone=tabular"]).config
config_hash(config)
assert len(checked(config)["tasks"]) == 617
assert "torch" not in sys.modules
print(code, composed, time.process_time() - composed, file=sys.stderr)
"""


def test_617_tasks_are_composed_and_checked_in_a_second(folder):
    targets = ", ".join(f"T{number}: {{column: c{number}}}" for number in range(617))
    text = TASK.replace("{A: {weight: 2.0}, B: {}, C: {}}", f"{{{targets}}}")
    (folder / "task" / "assay.yaml").write_text(text)
    command = [sys.executable, "-c", COST, "--config-dir", str(folder), "--cfg", "job", "task=assay"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    code, shown, checking = map(float, done.stderr.split())
    assert len(yaml.safe_load(done.stdout)["tasks"]["assay"]["targets"]) == 617
    assert code == 0
    assert shown < 2.0, "CPU seconds, from the start of the process; .4 where this was written"
    assert checking < 2.0, "CPU seconds; .26 where this was written"


@pytest.mark.slow
def test_2000_tasks_with_values_of_their_own_are_not_too_many(folder):
    own = {f"T{number}": {"column": f"c{number}", "weight": 2.0, "missing": [-1, "?"]} for number in range(2000)}
    (folder / "task" / "assay.yaml").write_text(TASK.replace("{A: {weight: 2.0}, B: {}, C: {}}", json.dumps(own)))
    assert len(checked(composed(folder))["tasks"]) == 2000
