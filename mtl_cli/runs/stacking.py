"""Which tasks of a run are computed as one."""

from collections.abc import Hashable, Mapping
from typing import Any

import torch
from torch import nn

from mtl_cli.heads.stack_base import StackedHeads
from mtl_cli.model.multi_task_model import MultiTaskModel
from mtl_cli.privacy.budget import Budget
from mtl_cli.ranks.batch_norm import batch_norms
from mtl_cli.runs.components import Components
from mtl_cli.runs.data import Data
from mtl_cli.sharing.base import Sharing
from mtl_cli.tasks.base import Task
from mtl_cli.tasks.stack_base import TaskStack
from mtl_cli.weightings.base import Weighting

FEWEST = 8
"""Tasks of one form from which they are computed as one: with fewer there is little to gain."""
BY_ENTRY = ("SGD", "Adam", "AdamW", "NAdam", "RAdam", "Adamax", "Adagrad", "Adadelta", "RMSprop", "ASGD", "Rprop")
"""torch's optimizers that treat every entry of a parameter by itself, so that parameters may be joined or divided."""


def stacks_fit(components: Components, config: Mapping[str, Any], sharing: Sharing) -> bool:
    """Return whether weighting and optimizer of a run do not tell a row of a parameter from a parameter.

    A private run, whose rows are looked at one by one, stacks nothing. Nor do several processes that divide the model
    or have batch norms, which must see rows of each process even where none has a label of a stack.
    """
    several = config["trainer"]["devices"] > 1
    if Budget.of(config) is not None or (several and (config["trainer"]["strategy"] != "ddp" or batch_norms(sharing))):
        return False
    weighting, optimizer = components.weighting.cls, components.optimizer.cls
    assert issubclass(weighting, Weighting), "bound as one"
    return weighting.takes_stacks and treats_by_entry(optimizer)


def treats_by_entry(optimizer: type) -> bool:
    """Return whether an optimizer is one of torch's that treat every entry of a parameter by itself."""
    return any(optimizer is getattr(torch.optim, name) for name in BY_ENTRY)


def stack_heads(
    tasks: Mapping[str, Task], heads: Mapping[str, nn.Module], data: Data, sharing: Sharing
) -> list[StackedHeads]:
    """Return the heads of trained tasks of one form and dataset as one module each, where there are many.

    All tasks must read the same features. Rows that are changed as they are drawn keep their tasks apart.
    """
    if not sharing.same_features:
        return []
    alike: dict[Hashable, list[str]] = {}
    for name, task in tasks.items():
        form, head_form = task.form, task.head.form
        if task.weight > 0 and not task.chosen_metrics and form is not None and head_form is not None:
            dataset = data.dataset_of[name]
            if data.sources[dataset].augmentation is None:
                alike.setdefault((dataset, form, type(task.head), head_form, task.num_outputs), []).append(name)
    return [
        tasks[names[0]].head.stacked({name: heads[name] for name in names})
        for names in alike.values() if len(names) >= FEWEST
    ]  # fmt: skip


def stacks_of(model: MultiTaskModel, tasks: Mapping[str, Task]) -> list[TaskStack[Any]]:
    """Return the tasks whose heads are stacked, for their losses and metrics."""
    found = []
    for stack in model.stacks:
        assert isinstance(stack, StackedHeads), "nothing else is in there"
        found.append(tasks[stack.tasks[0]].stacked([tasks[name] for name in stack.tasks]))
    return found
