"""Stems have the names that the config of a run gives them, also where they come from a run of other tasks."""

import csv

import pytest
import torch
import yaml

from mtl_cli import cli
from mtl_cli.config.run_config import checked
from mtl_cli.runs.stem_names import first_tasks, renamed
from mtl_cli.storage import checkpoint
from tests import _toy


def toy(**datasets):
    """Return a checked config of tasks, each with changes of its dataset."""
    return _toy.config(tasks={name: _toy.task("sign", **changes) for name, changes in datasets.items()})


def state(config, *names):
    weights = {name: torch.full((1,), float(number)) for number, name in enumerate(names)}
    return {"config": yaml.safe_dump(config), "model": weights, "ema": None}


def test_a_dataset_is_named_after_its_first_task_whatever_its_batch_size():
    config = toy(a={}, b={}, c={"size": 20}, d={"size": 20, "missing": 0.1})
    config["tasks"]["b"]["dataset"]["batch_size"] = 3
    assert list(first_tasks(checked(config)).values()) == ["a", "c", "d"]


def test_stems_of_common_datasets_are_renamed_and_others_keep_their_names():
    joint = toy(a={}, b={}, c={"size": 20}, d={"size": 30})
    stems = [f"sharing.trunk.0.stems.{name}.weight" for name in "acd"]
    theirs = state(joint, *stems, "sharing.trunk.1.weight", "heads.a.weight")
    found = renamed(theirs, checked(toy(b={}, d={"size": 30})))
    assert {name: int(value) for name, value in found.items()} == {
        "sharing.trunk.0.stems.b.weight": 0,
        "sharing.trunk.0.stems.c.weight": 1,
        "sharing.trunk.0.stems.d.weight": 2,
        "sharing.trunk.1.weight": 3,
        "heads.a.weight": 4,
    }


def test_names_that_change_places_do_not_get_lost():
    stems = ["sharing.trunk.0.stems.a.weight", "sharing.trunk.0.stems.b.weight"]
    found = renamed(state(toy(a={}, b={"size": 20}), *stems), checked(toy(b={}, a={"size": 20})))
    assert [int(found[name]) for name in stems] == [1, 0]
    found = renamed(state(toy(a={}, b={"size": 20}), *stems), checked(toy(b={})))
    assert int(found[stems[1]]) == 0  # that of the dataset, not of the name


@pytest.mark.slow
def test_columns_of_one_table_start_from_a_joint_run_and_are_merged(tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mtl_cli.answers.figures.figures_of", lambda *_: {})
    numbers = torch.randn(200, 3, generator=torch.Generator().manual_seed(0)).tolist()
    with open("rows.csv", "w", newline="") as file:
        csv.writer(file).writerows(
            [["x", "y", "z", "one", "two"], *([*row, row[0], row[1] - row[2]] for row in numbers)]
        )
    assert cli.main_init(["input=rows.csv", "target=[one,two]", "output=conf"]) == 0
    words = ["--config-dir", "conf", "backbone=mlp", "backbone.hidden=[4]", "trainer.max_epochs=2", "quiet=true"]
    assert cli.main([*words, "task=one+two", "seed=9", "hydra.run.dir=start"]) == 0
    caplog.clear()
    assert cli.main(["-m", *words, "task=one,two", "init_from=start", "hydra.sweep.dir=sweep"]) == 0
    assert "start afresh" not in caplog.text
    assert cli.main_report(["sweep", "merge=task_arithmetic"]) == 0
    assert "nan" not in caplog.text
    folder = tmp_path / "sweep" / "merged" / "task_arithmetic" / "seed_0"
    merged = checkpoint.load(checkpoint.find(folder, "best"))["model"]
    assert any(".stems." in name for name in merged)
