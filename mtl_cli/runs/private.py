"""A run that is private in its rows (DP-SGD): what it refuses, its draws and noise, what it says of itself."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mtl_cli.privacy.accounting import Accountant, noise_for
from mtl_cli.privacy.budget import Budget
from mtl_cli.privacy.private_sum import PrivateSum
from mtl_cli.privacy.refusals import data_problems, model_problems, trainer_problems
from mtl_cli.runs.data import Data
from mtl_cli.schedules.base import Schedule
from mtl_cli.training.job import Job
from mtl_cli.training.learner import Learner
from mtl_cli.training.loading import Stream
from mtl_cli.training.poisson_order import PoissonOrder
from mtl_cli.weightings.base import Weighting


def private_problems(
    config: Mapping[str, Any],
    learner: Learner,
    train: Mapping[str, Stream],
    schedule: Schedule,
    weighting: Weighting,
    data: Data,
) -> list[str]:
    """Return everything that does not go with privacy; nothing where it is not asked for."""
    if Budget.of(config) is None:
        return []
    sharing = learner.model.sharing
    return [
        *trainer_problems(config["trainer"]),
        *model_problems(learner.model, sharing, learner.tasks, weighting, schedule),
        *data_problems({name: data.sources[name].balance for name in train}),
    ]


def longer_problems(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return what is wrong where a run whose noise follows from its length goes on with another one."""
    budget, own = Budget.of(after), {key: before["trainer"][key] for key in ("max_epochs", "max_steps")}
    if budget is None or budget.epsilon is None or all(after["trainer"][key] == value for key, value in own.items()):
        return []
    words = " ".join(f"trainer.{key}={'null' if value is None else value}" for key, value in own.items())
    return [
        f"The noise of this run was chosen so that its steps spend privacy.epsilon={budget.epsilon:g}; more of them "
        f"would spend more. Use {words}."
    ]


def make_private(
    budget: Budget, train: Mapping[str, Stream], tasks: Sequence[str], steps: int
) -> tuple[PrivateSum, str]:
    """Return the weighting of a private run of so many steps, and a sentence about it; rows are now Poisson samples.

    Raises:
        UserError: no noise is enough, or opacus is missing.
    """
    (stream,) = train.values()
    order = PoissonOrder.like(stream.order)
    stream.order = order
    delta = 0.0 if budget.delta is None else budget.delta
    noise = budget.noise if budget.noise is not None else noise_for(budget.epsilon or 0.0, order.rate, delta, steps)
    accountant = Accountant(noise, order.rate, delta)
    return PrivateSum(budget.clip_norm, accountant, order.expected_rows, tasks=tasks), told(
        accountant, order.size, steps
    )


def told(accountant: Accountant, rows: int, steps: int) -> str:
    """Return what a run will have spent, and on what this depends, in words."""
    if accountant.noise == 0.0:
        return "privacy.noise=0 clips gradients and hides nothing: ε is infinite."
    large = f" δ is not below 1/{rows}, one over the training rows." if accountant.delta * rows >= 1 else ""
    return (
        f"{steps} private steps spend ε = {accountant.spent(steps):.3g} at δ = {accountant.delta:g}: noise "
        f"{accountant.noise:.3g}, each row with probability {accountant.rate:.3g} per step.{large} Noise and draws "
        "follow from seed: keep it and this directory to yourself, and pass on what mtl-export writes."
    )


def privacy_record(job: Job) -> dict[str, Any]:
    """Return what a private run has spent, under `privacy`; nothing for another run."""
    weighting = job.weighting
    if not isinstance(weighting, PrivateSum):
        return {}
    accountant, steps = weighting.accountant, job.progress.step
    spent = accountant.spent(steps)
    return {
        "privacy": {
            "epsilon": spent if math.isfinite(spent) else None,
            "delta": accountant.delta or None,
            "noise": accountant.noise,
            "clip_norm": weighting.clip_norm,
            "rate": accountant.rate,
            "steps": steps,
            "accountant": "Rényi (opacus)",
        }
    }
