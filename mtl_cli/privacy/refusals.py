"""What does not go with privacy, each with its reason and the override that fixes it."""

from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn

from mtl_cli.errors import some
from mtl_cli.ranks.batch_norm import batch_norms
from mtl_cli.schedules.base import Schedule
from mtl_cli.sharing.base import Sharing
from mtl_cli.tasks.base import Task
from mtl_cli.weightings.base import Weighting


def trainer_problems(trainer: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the plain knobs of training."""
    if trainer["devices"] > 1:
        yield (
            "privacy= runs on one process: the noise of several would have to be counted together. "
            "Use trainer.devices=1."
        )
    if trainer["accumulate"] > 1:
        yield (
            "privacy= draws the rows of a step at once, so that each is in it once at most; rows have passes of their "
            "own, which need no memory for more. Use trainer.accumulate=1 and a larger data.batch_size."
        )
    if trainer["precision"] == "fp16":
        yield "trainer.precision=fp16 leaves out steps by what their rows are. Use trainer.precision=fp32."
    if trainer["on_nonfinite"] != "stop":
        yield (
            f"trainer.on_nonfinite={trainer['on_nonfinite']} leaves out steps by what their rows are, which privacy= "
            "does not count. Use trainer.on_nonfinite=stop."
        )


def model_problems(
    model: nn.Module, sharing: Sharing, tasks: Mapping[str, Task], weighting: Weighting, schedule: Schedule
) -> Iterator[str]:
    """Yield what is wrong with the components; `tasks` are the trained ones."""
    if not weighting.is_sum:
        yield (
            f"privacy= clips the gradient of each row over the sum of its tasks, and {type(weighting).__name__} is not "
            "a sum over rows: what it weighs tasks by would be read from the rows without noise. Use weighting=fixed."
        )
    if norms := batch_norms(model):
        yield (
            f"{type(norms[0]).__name__} mixes the rows of a batch, so that no gradient belongs to one row (privacy=). "
            "Use backbone.norm=group, or another backbone."
        )
    if sharing.penalises:
        yield (
            f"{type(sharing).__name__} has a penalty on each batch, which belongs to no row (privacy=). "
            "Use sharing=hard, or for dselect_k sharing.gate=static."
        )
    if whole := [name for name, task in tasks.items() if not task.adds_up]:
        yield (
            f"The loss of {some(whole)} compares rows with each other, so that no gradient belongs to one row "
            f"(privacy=). Use tasks.{whole[0]}.weight=0, or another kind of task."
        )
    if not schedule.gives_all_tasks:
        yield "privacy= adds noise to every head in every step, so every task takes part in each. Use schedule=joint."


def data_problems(datasets: Mapping[str, str | None]) -> Iterator[str]:
    """Yield what is wrong with the trained datasets, given what each one balances its rows by."""
    if len(datasets) > 1:
        yield (
            f"privacy= counts the rows of one dataset, and there are {len(datasets)}: {some(datasets)}. "
            "Train on one of them, or on one table that holds all targets."
        )
    for name, by in datasets.items():
        if by is not None:
            yield (
                f"privacy= draws every row with one probability, and '{name}' balances rows by {by}. "
                f"Use tasks.{name}.dataset.balance=null."
            )
