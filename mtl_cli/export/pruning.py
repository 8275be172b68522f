"""A checkpoint cut down to some of its tasks: only the modules that they need."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import yaml
from torch import Tensor

from mtl_cli.config.run_config import checked, load_run_config, override
from mtl_cli.config.targets import Trust
from mtl_cli.config.task_groups import GROUPS
from mtl_cli.errors import UserError
from mtl_cli.layers.named_modules import safe
from mtl_cli.runs.components import SUMMARIES, bind_all, group_datasets, make_source, state_of, wanted_fields
from mtl_cli.runs.data import Data
from mtl_cli.runs.modelling import make_model, make_tasks
from mtl_cli.runs.summaries import fields_told

logger = logging.getLogger("mtl_cli")


def pruned(state: Mapping[str, Any], tasks: Sequence[str], trust: Trust) -> dict[str, Any]:
    """Return a portable state of some tasks alone; the whole state where their modules cannot be told apart.

    They cannot where the sharing mode's own parameters are those of all tasks together, such as a matrix between them.
    """
    whole = dict(state)
    config = checked(override(load_run_config(state["config"]), {}))
    if set(tasks) == set(config["tasks"]) or GROUPS in config:
        return whole
    before = group_datasets(config)
    config["tasks"] = {name: node for name, node in config["tasks"].items() if name in tasks}
    names = {before[task]: dataset for task, dataset in group_datasets(config).items()}
    datasets = {new: cut_state(state["datasets"].get(old), tasks) for old, new in names.items()}
    try:
        wanted = weights_of_tasks(config, datasets, trust)
        weights = {key: chosen(key, shape, state["model"], names) for key, shape in wanted.items()}
    except UserError as error:
        logger.info("The model is kept whole: %s", error.problems[0])
        return whole
    if absent := [key for key, value in weights.items() if value is None]:
        logger.info("The model is kept whole: its sharing mode does not tell %s apart.", absent[0])
        return whole
    text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    return {**whole, "config": text, "datasets": datasets, "model": weights}


def cut_state(state: Mapping[str, Any] | None, tasks: Sequence[str]) -> dict[str, Any]:
    """Return a dataset's state without the summaries of other tasks."""
    found = dict(state or {})
    if SUMMARIES in found:
        found[SUMMARIES] = {name: each for name, each in found[SUMMARIES].items() if name in tasks}
    return found


def weights_of_tasks(config: Mapping[str, Any], datasets: Mapping[str, Any], trust: Trust) -> dict[str, torch.Size]:
    """Return the names and shapes of the weights that a model of the config has.

    Raises:
        UserError: it cannot be built.
    """
    components, dataset_of = bind_all(config, trust), group_datasets(config)
    states = {name: state_of(name, datasets) for name in dict.fromkeys(dataset_of.values())}
    sources = {
        name: make_source(components.datasets[name], wanted_fields(components, dataset_of, name), own, opened=False)
        for name, own in states.items()
    }
    tasks = make_tasks(components.tasks, fields_told(components.tasks, sources, dataset_of, states))
    model, _ = make_model(components, tasks, Data(sources, dataset_of), config["seed"])
    return {name: value.shape for name, value in model.state_dict().items()}


def chosen(key: str, shape: torch.Size, weights: Mapping[str, Tensor], names: Mapping[str, str]) -> Tensor | None:
    """Return the weight of that name and shape; the stem of a dataset may have had the name of another task."""
    keys = [key, *(key.replace(f"stems.{safe(new)}.", f"stems.{safe(old)}.") for old, new in names.items())]
    return next((weights[each] for each in keys if each in weights and weights[each].shape == shape), None)
