"""Where a bundle comes from: commands, but not those of a private run, and names of files without their folders."""

import json

import pytest
import yaml

from mtl_cli.export.provenance import commands, data_files
from tests import _toy


@pytest.mark.parametrize(("epsilon", "told"), [(None, ["mtl-train 'a=[b, c]'"]), (1.0, [])])
def test_the_command_of_a_run_is_told_unless_it_was_private(epsilon, told, tmp_path):
    config = _toy.config(privacy__epsilon=epsilon, privacy__delta=None if epsilon is None else 1e-3)
    (tmp_path / "environment.json").write_text(json.dumps({"command": ["mtl-train", "a=[b, c]"]}))
    state = {"config": yaml.safe_dump(config, sort_keys=False)}
    found = commands(tmp_path / "checkpoints" / "step_1.pt", state, ["mtl-export", "licence=my own"])
    assert found == [*told, "mtl-export 'licence=my own'"]


def test_files_are_named_without_their_folders():
    config = _toy.config()
    name = next(iter(config["tasks"]))
    config["tasks"][name]["dataset"] = {"_target_": "a.B", "path": "/home/somebody/data.csv"}
    files = {"path": {"digest": "12", "files": 1, "bytes": 3}, "images": {"digest": "34", "files": 7, "bytes": 3}}
    state = {"config": yaml.safe_dump(config, sort_keys=False), "datasets": {name: {"files": files}, "other": None}}
    found = [(each.dataset, each.name, each.files, each.digest) for each in data_files(state)]
    assert found == [(name, "data.csv", 1, "12"), (name, "images", 7, "34")]
