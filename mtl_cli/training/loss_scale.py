"""Gradients multiplied on their way through a model in fp16, whose small numbers would else become 0.

Only what flows into the model is multiplied (`scaled_gradients`). Losses, and whatever a weighting makes of them, stay
as they are, so a weighting of losses need not know of it, and its own parameters have their plain gradients. Behind the
backward pass the model's gradients are divided again (`unscale`). Where one is not finite, the step is left out and the
scale halved; it doubles after `GROWTH` steps that went well, as in torch.amp.GradScaler.
"""

import math

import torch

from mtl_cli.training.job import Job
from mtl_cli.training.step import TrainStep
from mtl_cli.training.window import total_norm

GROWTH = 2000
"""Steps without an overflow after which the scale doubles."""
LARGEST = 2.0**24


def unscale(job: Job, step: TrainStep) -> bool:
    """Divide the gradients of the model by the scale of the step, and choose the next one; True where one overflowed.

    It waits for the device, once.
    """
    if not job.learner.arithmetic.fp16 or not (gradients := job.gradients()):
        return False
    progress = job.progress
    torch._foreach_mul_(gradients, 1.0 / step.scale)
    if math.isfinite(total_norm(gradients)):
        progress.good_steps += 1
        if progress.good_steps >= GROWTH:
            progress.loss_scale, progress.good_steps = min(LARGEST, 2 * progress.loss_scale), 0
        return False
    progress.loss_scale, progress.good_steps = max(1.0, progress.loss_scale / 2), 0
    progress.overflows += 1
    return True
