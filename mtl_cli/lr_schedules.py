"""Learning-rate schedules as pure functions of the step: there is no state to save. Each has a linear warm-up."""

import math
from abc import ABC, abstractmethod


class LRSchedule(ABC):
    """A factor on the optimizer's learning rate, built with the arguments of its YAML."""

    def __init__(self, warmup_steps: int) -> None:
        if warmup_steps < 0:
            raise ValueError(f"lr_schedule.warmup_steps is {warmup_steps}; it is a number of steps ≥ 0.")
        self.warmup_steps = warmup_steps

    def factor(self, step: int, total_steps: int) -> float:
        """Return the factor for optimizer step `step` (from 0) of `total_steps`.

        During the first `warmup_steps` it rises linearly, (step + 1) / (warmup_steps + 1), to where the decay starts.
        """
        num_steps = max(total_steps - self.warmup_steps, 1)
        if step < self.warmup_steps:
            return self.decay(0, num_steps) * (step + 1) / (self.warmup_steps + 1)
        return self.decay(step - self.warmup_steps, num_steps)

    @abstractmethod
    def decay(self, step: int, num_steps: int) -> float:
        """Return the factor after warm-up, at step `step` (from 0) of the `num_steps` that remain after it."""


class Constant(LRSchedule):
    """The learning rate as it is."""

    def decay(self, step: int, num_steps: int) -> float:
        """Return 1."""
        return 1.0


class Step(LRSchedule):
    """The learning rate times `gamma` every `step_size` optimizer steps."""

    def __init__(self, step_size: int, gamma: float, warmup_steps: int) -> None:
        super().__init__(warmup_steps)
        if step_size < 1:
            raise ValueError(f"lr_schedule.step_size is {step_size}; it is a number of steps ≥ 1.")
        if not 0.0 < gamma < math.inf:
            raise ValueError(f"lr_schedule.gamma is {gamma}; it is a factor > 0. Try lr_schedule.gamma=0.5.")
        self.step_size, self.gamma = step_size, gamma

    def decay(self, step: int, num_steps: int) -> float:
        """Return `gamma` to the power of the number of whole periods."""
        return self.gamma ** (step // self.step_size)


class Cosine(LRSchedule):
    """Half a cosine from 1 to `min_factor`.

    Source: Loshchilov and Hutter, "SGDR", ICLR 2017, eq. 5 without restarts.
    """

    def __init__(self, min_factor: float, warmup_steps: int) -> None:
        super().__init__(warmup_steps)
        if not 0.0 <= min_factor <= 1.0:
            raise ValueError(f"lr_schedule.min_factor is {min_factor}; it lies in [0, 1].")
        self.min_factor = min_factor

    def decay(self, step: int, num_steps: int) -> float:
        """Return the point on the cosine."""
        return cosine(1.0, self.min_factor, step / num_steps)


class OneCycle(LRSchedule):
    """One cosine up from 1/div_factor to 1 in the first `pct_start` of the run, one down to 1/(div·final_div) after it.

    Source: Smith and Topin, "Super-convergence", 2018, with the defaults of torch.optim.lr_scheduler.OneCycleLR.
    Differs from it in that momentum is not changed.
    """

    def __init__(self, pct_start: float, div_factor: float, final_div_factor: float, warmup_steps: int) -> None:
        super().__init__(warmup_steps)
        if not 0.0 < pct_start < 1.0:
            raise ValueError(f"lr_schedule.pct_start is {pct_start}; it lies in (0, 1).")
        if not (1.0 <= div_factor < math.inf and 1.0 <= final_div_factor < math.inf):
            raise ValueError(
                f"lr_schedule.div_factor is {div_factor}, final_div_factor {final_div_factor}; both are at least 1."
            )
        self.pct_start, self.div_factor, self.final_div_factor = pct_start, div_factor, final_div_factor

    def decay(self, step: int, num_steps: int) -> float:
        """Return the point on the cycle; its last step has the lowest rate."""
        start = 1.0 / self.div_factor
        peak = self.pct_start * num_steps - 1  # the step of the highest rate, as in torch; negative in a very short run
        if step < peak:
            return cosine(start, 1.0, step / peak)
        return cosine(1.0, start / self.final_div_factor, (step - peak) / (num_steps - 1 - peak))


def cosine(start: float, end: float, progress: float) -> float:
    """Return the value at `progress` of half a cosine from `start`, at 0, to `end`, at 1 and beyond."""
    return end + (start - end) * (1.0 + math.cos(math.pi * min(progress, 1.0))) / 2.0
