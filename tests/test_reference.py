"""The reference of methods in mtl_cli/*/README.md says what docstrings, YAML files and classes say."""

import importlib.util
import re
import shutil
from pathlib import Path

import pytest

from mtl_cli.config.shipped import conf_dir

SCRIPT = Path(__file__).parents[1] / "scripts" / "reference.py"
spec = importlib.util.spec_from_file_location("reference", SCRIPT)
reference = importlib.util.module_from_spec(spec)
spec.loader.exec_module(reference)
METHODS = [(group, method) for group in reference.FOLDERS for method in reference.methods(group)]


@pytest.mark.parametrize("group", reference.FOLDERS)
def test_a_readme_is_up_to_date(group):
    assert reference.readme(group).read_text(encoding="utf-8") == reference.updated(group), (
        "Write the reference anew with: python scripts/reference.py"
    )


@pytest.mark.parametrize("group", reference.FOLDERS)
def test_every_option_has_a_heading_and_all_its_knobs(group):
    text = reference.readme(group).read_text(encoding="utf-8")
    for path in (conf_dir() / group).glob("*.yaml"):
        _, _, block = text.partition(f"### `{group}={path.stem}`\n")
        block = block.partition("\n### ")[0]
        for line in path.read_text(encoding="utf-8").splitlines()[1:]:
            name, default = line.partition("#")[0].strip().split(": ", 1)
            assert f"`{name}={default}`" in block


@pytest.mark.parametrize(("group", "method"), METHODS, ids=[f"{group}-{method.name}" for group, method in METHODS])
def test_every_knob_says_what_it_is(group, method):
    assert [knob.name for knob in method.knobs if not knob.comment] == []


def test_a_changed_default_is_found_and_written(tmp_path, monkeypatch, capsys):
    shutil.copytree(conf_dir(), tmp_path / "conf")
    for folder in reference.FOLDERS.values():
        (tmp_path / "mtl_cli" / folder).mkdir(parents=True)
        shutil.copy(SCRIPT.parents[1] / "mtl_cli" / folder / "README.md", tmp_path / "mtl_cli" / folder)
    monkeypatch.setattr(reference, "ROOT", tmp_path)
    changed = tmp_path / "conf" / "weighting" / "cagrad.yaml"
    changed.write_text(changed.read_text(encoding="utf-8").replace("c: 0.4", "c: 0.5"), encoding="utf-8")
    assert reference.main(["--check"]) == 1
    assert "mtl_cli/weightings/README.md is not up to date" in capsys.readouterr().out
    assert reference.main([]) == 0
    assert "`c=0.5`" in reference.readme("weighting").read_text(encoding="utf-8")
    assert reference.main(["--check"]) == 0


def test_costs_come_from_the_classes():
    costs = {method.name: reference.cost(method.cls) for group, method in METHODS if group == "weighting"}
    assert costs["fixed"] == "one backward per step"
    assert "without gradients" in costs["uncertainty"]
    assert "solved on the CPU" in costs["mgda"]
    assert costs["gradnorm"] == costs["graddrop"] == "one backward per task"
    assert costs["sdmgrad"] == costs["modo"] == "one backward per task on each of 2 parts of the batch"


def test_backbones_are_listed_by_the_inputs_that_their_classes_take():
    text = reference.readme("backbone").read_text(encoding="utf-8")
    for group, method in METHODS:
        if group == "backbone":
            assert method.cls.takes, method.name
            for kind in method.cls.takes:
                assert re.search(rf"^\| {kind} \|.*`{method.name}`", text, re.MULTILINE), (kind, method.name)
