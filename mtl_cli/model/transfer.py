"""Starting from an earlier run's weights, and freezing stages."""

import logging
from collections.abc import Collection, Mapping

from torch import Tensor

from mtl_cli.errors import UserError
from mtl_cli.features import NewPart, Stages
from mtl_cli.model.multi_task_model import MultiTaskModel

logger = logging.getLogger("mtl_cli")


def warm_start(model: MultiTaskModel, source: Mapping[str, Tensor], where: str) -> None:
    """Copy the sharing mode's weights, and heads where their names match, from the `source` state of another model.

    A head of another shape starts afresh, for it has other classes; what the source lacks (a new dataset's stem, a new
    task's head) does too. Both are logged.

    Raises:
        UserError: no weight below the heads has a namesake, or a namesake has another shape.
    """
    own = model.state_dict()
    shared = [name for name in own if name.startswith("sharing.")]
    if problem := state_problem(model, source):
        raise UserError(f"init_from={where} does not fit: {problem}")
    wrong = [name for name in shared if name in source and source[name].shape != own[name].shape]
    if wrong:
        name = wrong[0]
        raise UserError(
            f"init_from={where} does not fit: {name} has shape {tuple(source[name].shape)} there and "
            f"{tuple(own[name].shape)} here, and {len(wrong) - 1} more differ. Use the backbone's and sharing mode's "
            "settings of that run."
        )
    taken = [name for name in shared if name in source]
    if not taken:
        raise UserError(
            f"init_from={where} does not fit: none of its weights below the heads has the name of one here. "
            "Use the sharing= and backbone= of that run."
        )
    heads = [name for name in own if name.startswith("heads.")]
    fitting = {head_of(name) for name in heads} - {
        head_of(name) for name in heads if name not in source or source[name].shape != own[name].shape
    }
    taken += [name for name in heads if head_of(name) in fitting]
    model.load_state_dict({**own, **{name: source[name] for name in taken}})
    fresh = sorted({head_of(name) for name in heads} - fitting)
    logger.info(
        "init_from=%s: %d of %d tensors below the heads taken over; heads taken over: %s; fresh heads: %s",
        where, len(taken) - sum(name in heads for name in taken), len(shared), ", ".join(sorted(fitting)) or "none",
        ", ".join(fresh) or "none",
    )  # fmt: skip
    if left := sorted({".".join(name.split(".")[1:4]) for name in shared if name not in source}):
        logger.warning("init_from=%s has no %s, so that they start afresh.", where, ", ".join(left))


def head_of(name: str) -> str:
    """Return the task of a parameter `heads.<task>.…`."""
    return name.split(".")[1]


def state_problem(model: MultiTaskModel, state: Collection[str]) -> str | None:
    """Return what an older version's state lacks for the sharing mode, by its names of weights, in words, or None."""
    own = [name for name in state if isinstance(name, str) and name.startswith("sharing.")]
    return model.sharing.state_problem({name.removeprefix("sharing.") for name in own})


def freeze(model: MultiTaskModel, what: str, num_stages: int, started: bool) -> None:
    """Freeze the backbone's stages, all copies of them: "trunk" all, "stages:N" the stem and the first N, "none" none.

    Frozen stages also stay in evaluation mode: no dropout, and BatchNorm keeps its statistics. A part that is new to a
    pretrained stage (`NewPart`) is trained all the same, unless the weights are `started` from a run's.

    Raises:
        UserError: the backbone has fewer stages.
    """
    if what == "none":
        return
    last = num_stages if what == "trunk" else int(what.removeprefix("stages:"))
    if last > num_stages:
        raise UserError(f"freeze is {what}; the backbone has {num_stages} stages. Use freeze=stages:{num_stages}.")
    parts = [module for module in model.modules() if isinstance(module, Stages)]
    stages = [stage for part in parts for number, stage in part.numbered() if number <= last]
    model.freeze(stages)
    for module in (module for stage in stages for module in stage.modules() if not started):
        if isinstance(module, NewPart):
            module.requires_grad_(True)
