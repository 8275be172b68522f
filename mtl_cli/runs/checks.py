"""What is compared between data, tasks, weighting and config before the first step."""

from collections.abc import Mapping
from typing import Any

import torch

from mtl_cli.config.task_groups import GROUPS
from mtl_cli.errors import nearest, some
from mtl_cli.schedules.base import Schedule
from mtl_cli.tasks.base import Task
from mtl_cli.training.job import Plan
from mtl_cli.training.learner import Learner
from mtl_cli.training.loading import Stream
from mtl_cli.training.readouts import last_layers
from mtl_cli.training.selection import LAST
from mtl_cli.weightings.base import Weighting
from mtl_cli.weightings.step_base import Setting


def check_metrics(config: Mapping[str, Any], tasks: Mapping[str, Task]) -> list[str]:
    """Return what is wrong with the metrics that selection and early stopping name: of tasks, or of groups of them."""
    known = ["skill", LAST]
    for name, members in {**{name: [name] for name in tasks}, **config.get(GROUPS, {})}.items():
        known += dict.fromkeys(f"{name}/{metric}" for task in members for metric in ("loss", *tasks[task].reported))
    problems = []
    for key in ("selection", "early_stopping"):
        metric = config[key]["metric"]
        if metric is not None and metric not in known:
            problems.append(
                f"{key}.metric is '{metric}'; no task reports it.{nearest(metric, known)} Known: {some(known)}."
            )
    return problems


def precision_problems(precision: str, weighting: Weighting, strategy: str = "ddp") -> list[str]:
    """Return why fp16 does not go with a weighting: its gradients are scaled, and divided behind the backward pass."""
    if precision != "fp16":
        return []
    if strategy != "ddp":
        return [f"trainer.precision=fp16 does not go with trainer.strategy={strategy}. Use trainer.precision=bf16."]
    if weighting.takes_scaled:
        return []
    return [
        f"trainer.precision=fp16 scales gradients, and {type(weighting).__name__} computes with gradients of its own. "
        "Use trainer.precision=bf16, or a weighting of losses, such as weighting=fixed."
    ]


def setting_of(
    learner: Learner,
    schedule: Schedule,
    train: Mapping[str, Stream],
    fully_labelled: bool,
    plan: Plan,
    optimizer: torch.optim.Optimizer,
) -> Setting:
    """Return what a run offers to its weighting."""
    group = optimizer.param_groups[0]
    return Setting(
        weights={name: task.weight for name, task in learner.tasks.items()},
        num_datasets=len(train),
        num_shared=len(learner.partition.shared),
        has_boundary=learner.model.sharing.has_boundary,
        always_all=schedule.gives_all_tasks and fully_labelled,
        last_layers=last_layers(learner.model, learner.tasks),
        num_epochs=plan.num_steps(schedule.steps_per_epoch) / schedule.steps_per_epoch,
        momentum=group["momentum"] if "momentum" in group else group["betas"][0] if "betas" in group else 0.0,
    )
