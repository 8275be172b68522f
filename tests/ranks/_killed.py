"""A rank that is killed at a chosen moment of its run, as by the system when memory runs out."""

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

START = "from tests.ranks._killed import main; main()"
PHASES = {
    "start": ("mtl_cli.runs.follow", "hear", 1),
    "data": ("mtl_cli.training.loading", "Stream.batches", 5),
    "step": ("mtl_cli.training.step", "TrainStep.sum_gradients", 5),
    "evaluation": ("mtl_cli.training.evaluate", "Sweep.run", 2),
    "checkpoint": ("mtl_cli.storage.unwritten", "UnwrittenDirectory.save", 2),
}
"""Where a rank is killed: the module, the function or method, and at which of its calls."""


def main() -> None:
    """Be a rank, as `mtl_cli.ranks.group.START` has it, until the phase that the environment names."""
    module, path, number = PHASES[os.environ["KILLED_AT"]]
    *owners, name = path.split(".")
    owner: Any = __import__(module, fromlist=["_"])
    for each in owners:
        owner = getattr(owner, each)
    setattr(owner, name, killing(getattr(owner, name), number))
    from mtl_cli.cli import train

    sys.exit(train())


def killing(function: Callable[..., Any], number: int) -> Callable[..., Any]:
    """Return a function that kills the process at so many-th call."""
    calls = iter(range(1, number + 1))

    def killed(*args: Any, **kwargs: Any) -> Any:
        if next(calls) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **kwargs)

    return killed
