"""Every YAML of a component group composes, and lists exactly the arguments that its class takes from YAML."""

import importlib
import inspect

import pytest
import yaml
from omegaconf import OmegaConf

from mtl_cli.commands.compose import hydra_session, plain_config
from mtl_cli.config.options import keys_of
from mtl_cli.config.shipped import conf_dir, target_nodes
from mtl_cli.tasks.base import Task
from tests._thinned import thinned

GROUPS = sorted(path.name for path in conf_dir().iterdir() if path.is_dir())
FILES = sorted(path for path in conf_dir().glob("*/**/*.yaml"))
NODES = [
    pytest.param(node, id=f"{path.relative_to(conf_dir()).with_suffix('')}:{node['_target_'].rpartition('.')[2]}")
    for path in FILES
    for node in target_nodes(yaml.safe_load(path.read_text(encoding="utf-8")))
]
COMPONENT_GROUPS = ("backbone", "dataset", "lr_schedule", "optimizer", "schedule", "sharing", "task", "weighting")


def locate(target):
    module, _, name = target.rpartition(".")
    return vars(importlib.import_module(module))[name]


def settable(cls):
    """Names that YAML gives; what the program supplies is keyword-only, has no default and is not an option group."""
    parameters = inspect.signature(cls).parameters
    assert all(each.kind is not each.VAR_KEYWORD for each in parameters.values()), f"{cls} takes **kwargs"
    supplied = {
        name for name, each in parameters.items() if each.kind is each.KEYWORD_ONLY and each.default is each.empty
    }
    return {name for name, key in keys_of(cls).items() if key.group or name not in supplied}


def test_files_were_found_in_every_component_group():
    assert set(COMPONENT_GROUPS) <= set(GROUPS)
    assert len(NODES) >= 15
    for group in COMPONENT_GROUPS:
        found = [path for path in FILES if path.is_relative_to(conf_dir() / group)]
        assert found, f"no file in conf/{group}"
        for path in found:
            assert list(target_nodes(yaml.safe_load(path.read_text(encoding="utf-8")))), f"{path} has no _target_"


@pytest.mark.parametrize("node", NODES)
def test_keys_are_the_arguments_of_the_class(node):
    cls, keys = locate(node["_target_"]), set(node) - {"_target_", "dataset"}  # a task's dataset is a node of its own
    if "targets" in keys and issubclass(cls, Task):  # a node that stands for many tasks
        keys = keys - {"targets"} | {"target"}
    if node["_target_"].startswith("torch."):
        keys -= {"lr_factors"}  # of optimizers, whose rates of parts the program divides itself
        assert keys <= settable(cls), f"{sorted(keys - settable(cls))} are not arguments of {node['_target_']}"
    else:
        assert keys == settable(cls)


def nodes_of(tree):
    """Plain nodes with a target, by where they stand."""
    return [node["_target_"] for node in target_nodes(tree)]


@pytest.mark.parametrize("path", thinned(FILES, 25), ids=lambda path: str(path.relative_to(conf_dir()).with_suffix("")))
def test_every_file_composes_into_the_default_config(path):
    group, option = path.parent.relative_to(conf_dir()).as_posix(), path.stem
    place = "dataset@tasks.letters.dataset" if group == "dataset" else group
    with hydra_session() as session:
        composed = session.compose([f"{place}={option}"])
        config = plain_config(composed)
        if group == "hydra/launcher":  # the node of Hydra is no part of a run's config
            config = OmegaConf.to_container(composed.hydra.launcher)
    own = nodes_of(yaml.safe_load(path.read_text(encoding="utf-8")))
    assert set(own) <= set(nodes_of(config)), f"{place}={option} leaves no trace in the config"


@pytest.mark.parametrize("path", [path for path in FILES if path.parent.name == "task"], ids=lambda path: path.stem)
def test_a_task_file_declares_the_task_of_its_name_with_its_dataset(path):
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# @package _global_\n")
    content = yaml.safe_load(text)
    assert list(content["tasks"]) == [path.stem]
    [(place, dataset)] = content["defaults"][0].items()
    assert place == f"/dataset@tasks.{path.stem}.dataset"
    assert (conf_dir() / "dataset" / f"{dataset}.yaml").is_file()
