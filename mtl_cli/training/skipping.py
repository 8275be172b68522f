"""Steps with a loss or gradient that is not finite, left out where `trainer.on_nonfinite=skip` asks for it."""

import logging

from torch import Tensor

from mtl_cli.training.bad_rows import bad_rows, describe
from mtl_cli.training.job import Job
from mtl_cli.training.next_step import first_draws
from mtl_cli.training.step import TrainStep
from mtl_cli.training.window import first_bad

logger = logging.getLogger("mtl_cli")


class Before:
    """The weighting's state and the model's buffers before a step that may be left out: a forward pass changes both."""

    def __init__(self, job: Job) -> None:
        self._weighting = job.weighting
        self._state = {
            key: value.clone() if isinstance(value, Tensor) else value
            for key, value in job.weighting.state_dict().items()
        }
        self._buffers = [(buffer, buffer.clone()) for buffer in job.learner.model.buffers()]

    def restore(self) -> None:
        """Undo the step."""
        self._weighting.load_state_dict(self._state)
        for buffer, value in self._buffers:
            buffer.copy_(value)


def skip(job: Job, step: TrainStep) -> bool:
    """Return whether the step has a loss or gradient that is not finite; it is then counted and left out."""
    bad = first_bad(step.losses, job.gradients())
    if job.learner.strategy.on_all(bad is None):
        return False
    bad = bad or "a gradient"
    job.progress.skipped += 1
    cause = describe(bad_rows(job.train, first_draws(job, step), job.plan.micro_batches))
    logger.warning("Step %d is skipped: %s is not finite. %s (%d so far)", step.index, bad, cause, job.progress.skipped)
    return True
