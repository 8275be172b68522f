"""The snippets of mtl_cli/tasks/README.md: each is complete, and every kind has one."""

import re
from pathlib import Path

import pytest
import yaml

import mtl_cli.tasks
from mtl_cli.commands.compose import hydra_session
from mtl_cli.commands.composed_run import compose_run
from mtl_cli.config.run_config import checked
from mtl_cli.config.targets import Trust, bind
from mtl_cli.runs.components import divided
from mtl_cli.tasks.base import Task
from tests.tasks._inputs import CLASSES, ROW_KINDS

TEXT = (Path(mtl_cli.tasks.__file__).parent / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
SNIPPETS = [yaml.safe_load(block) for block in BLOCKS if block.startswith("_target_")]
HEAD = yaml.safe_load(re.search(r"`(\{_target_.*?\})`", TEXT, re.DOTALL)[1])


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda snippet: snippet["_target_"].rpartition(".")[2])
def test_a_snippet_is_all_that_its_class_takes(snippet):
    own, _ = divided({**snippet, "head": snippet.get("head", HEAD)}, "tasks.t", Trust())
    component = bind(own, Task, "tasks.t", Trust(), ("name", "field"))
    assert component.cls.__name__ in TEXT.partition("```")[0]


def test_the_one_node_for_many_tasks_is_a_file_that_composes(tmp_path):
    [(name, text)] = [block.split("\n", 1) for block in BLOCKS if not block.startswith("_target_")]
    files = {name.removeprefix("# my_conf/"): text, "dataset/people.yaml": "defaults: [tabular, _self_]\npath: a.csv\n"}
    for path, content in files.items():
        (tmp_path / path).parent.mkdir()
        (tmp_path / path).write_text(content)
    with hydra_session(tmp_path) as session:
        words = ["task=assay", "backbone=tabular", "tasks.NR_AR.weight=2", "selection.metric=assay/auc"]
        tasks = checked(compose_run(session, words).config)["tasks"]
    assert {name: (node["weight"], node["head"]["hidden"]) for name, node in tasks.items()} == {
        "NR_AR": (2, []), "NR_ER": (2.0, [32]),
    }  # fmt: skip


def test_every_kind_has_a_snippet_and_a_row_with_its_metrics():
    assert {snippet["_target_"] for snippet in SNIPPETS} == {
        f"{cls.__module__}.{cls.__name__}" for cls, _ in CLASSES.values()
    }
    for cls in (CLASSES[kind][0] for kind in ROW_KINDS):
        [row] = re.findall(rf"^\| `{cls.__name__}` .*$", TEXT, re.MULTILINE)
        metrics = row.split("|")[4]
        assert f"**{cls.primary}**" in metrics
        assert all(name in metrics for name in cls.metric_info)
