"""The snippets of mtl_cli/tasks/README.md: each is complete, and every kind has one."""

import re
from pathlib import Path

import pytest
import yaml

import mtl_cli.tasks
from mtl_cli.config.targets import Trust, bind
from mtl_cli.tasks.base import Task
from tests.tasks._inputs import CLASSES, ROW_KINDS

TEXT = (Path(mtl_cli.tasks.__file__).parent / "README.md").read_text(encoding="utf-8")
SNIPPETS = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)]
HEAD = yaml.safe_load(re.search(r"`(\{_target_.*?\})`", TEXT, re.DOTALL)[1])


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda snippet: snippet["_target_"].rpartition(".")[2])
def test_a_snippet_is_all_that_its_class_takes(snippet):
    component = bind({**snippet, "head": HEAD}, Task, "tasks.t", Trust(), ("name", "field"))
    assert component.cls.__name__ in TEXT.partition("```")[0]


def test_every_kind_has_a_snippet_and_a_row_with_its_metrics():
    assert {snippet["_target_"] for snippet in SNIPPETS} == {
        f"{cls.__module__}.{cls.__name__}" for cls, _ in CLASSES.values()
    }
    for cls in (CLASSES[kind][0] for kind in ROW_KINDS):
        [row] = re.findall(rf"^\| `{cls.__name__}` .*$", TEXT, re.MULTILINE)
        metrics = row.split("|")[4]
        assert f"**{cls.primary}**" in metrics
        assert all(name in metrics for name in cls.metric_info)
