"""Inter-task affinity and the cosines of gradients, measured within the steps of a run that they do not change."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from mtl_cli.weightings.base import Weighting
from mtl_cli.weightings.step_base import Step

Matrix = list[list[float]]
"""Values [T, T]; NaN where a pair was not measured."""


@dataclass(frozen=True)
class Measured:
    """What one step showed: affinity[i][j] of task i onto task j, and the cosines of their gradients."""

    step: int
    affinity: Matrix
    cosine: Matrix


@dataclass
class Means:
    """Running means of matrices [T, T] over the steps in which a pair was measured."""

    size: int
    total: Tensor = field(init=False)
    count: Tensor = field(init=False)

    def __post_init__(self) -> None:
        self.total = torch.zeros(self.size, self.size, dtype=torch.float64)
        self.count = torch.zeros(self.size, self.size, dtype=torch.float64)

    def add(self, values: Tensor) -> None:
        """Take in values [T, T]; those that are not finite count as not measured."""
        known = values.isfinite()
        self.total += torch.where(known, values, 0.0)
        self.count += known

    @property
    def means(self) -> Matrix:
        """The means so far."""
        return torch.where(self.count > 0, self.total / self.count, torch.nan).tolist()


class AffinityProbe(Weighting):
    """Measures every n-th step before another weighting takes it; the step itself is the same as without it.

    The affinity of task i onto task j is 1 − Lⱼ(θₛ − η ∂Lᵢ/∂θₛ, θⱼ) / Lⱼ(θₛ, θⱼ) on the batch of the step: how much a
    step for i alone, on the shared parameters θₛ and with the learning rate η of the step, lowers the loss of j.

    Source: C. Fifty, E. Amid, Z. Zhao, T. Yu, R. Anil, C. Finn, "Efficiently Identifying Task Groupings for Multi-Task
    Learning", NeurIPS 2021, eq. 2. Differs from the authors' code in that the step is the plain gradient's under every
    optimizer: its momentum belongs to all tasks.

    Args:
        inner: the weighting that takes the steps.
        lr: gives the learning rate of the present step.
        every: steps between measurements.
        keep: is told each measurement.
    """

    def __init__(
        self,
        inner: Weighting,
        lr: Callable[[], float],
        every: int,
        keep: Callable[[Measured], object] = lambda each: None,
    ) -> None:
        super().__init__(tasks=inner.tasks)
        self._inner = [inner]  # in a list, so that the module's state and parameters stay those of the run
        self._lr, self._every, self._keep = lr, every, keep
        self.num_draws = inner.num_draws  # type: ignore[misc]  # that of the other
        self.affinity, self.cosine = Means(len(self.tasks)), Means(len(self.tasks))
        self.history: list[Measured] = []

    @property
    def inner(self) -> Weighting:
        """The weighting that takes the steps."""
        return self._inner[0]

    def backward(self, step: Step) -> dict[str, Tensor]:
        """Measure where it is time to, then do as the other weighting does."""
        if step.index % self._every == 0:
            self.measure(step)
        return self.inner.backward(step)

    def after_step(self, step: Step) -> None:
        """Do as the other weighting does."""
        self.inner.after_step(step)

    def after_epoch(self) -> None:
        """Do as the other weighting does."""
        self.inner.after_epoch()

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  as torch has it
        """Return the state of the other weighting."""
        return self.inner.state_dict(*args, **kwargs)

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:  # noqa: ANN401  as torch has it
        """Load the state of the other weighting."""
        return self.inner.load_state_dict(state_dict, strict, assign)

    def measure(self, step: Step) -> None:
        """Take the gradients of all tasks, and a step for each that is undone."""
        shared = step.partition.shared
        losses, gradients = self._gradients(step, shared)
        places = [self.tasks.index(task) for task in losses]
        before = torch.stack([loss.double().cpu() for loss in losses.values()])  # [K]
        affinity, cosine = (torch.full((len(self.tasks),) * 2, torch.nan, dtype=torch.float64) for _ in range(2))
        kept = [parameter.detach().clone() for parameter in shared]
        for task, place in zip(losses, places, strict=True):
            with torch.no_grad():
                for parameter, gradient in zip(shared, gradients[task], strict=True):
                    parameter.sub_(gradient, alpha=self._lr())
            now = step.losses_now()
            after = torch.stack([now[other].double().cpu() for other in losses])
            affinity[place, places] = torch.where(before > 0, 1 - after / before, torch.nan)
            with torch.no_grad():
                for parameter, value in zip(shared, kept, strict=True):
                    parameter.copy_(value)
        rows = torch.stack([torch.cat([part.flatten() for part in gradients[task]]).double().cpu() for task in losses])
        units = rows / rows.norm(dim=1, keepdim=True)  # NaN for a gradient of 0
        cosine[torch.tensor(places)[:, None], torch.tensor(places)] = units @ units.T
        found = Measured(step.index, affinity.tolist(), cosine.tolist())
        self.take_in(found)
        self._keep(found)

    def take_in(self, found: Measured) -> None:
        """Count what a step showed, in this process or in one before."""
        self.affinity.add(torch.tensor(found.affinity, dtype=torch.float64))
        self.cosine.add(torch.tensor(found.cosine, dtype=torch.float64))
        self.history.append(found)

    @staticmethod
    def _gradients(
        step: Step, shared: Sequence[torch.nn.Parameter]
    ) -> tuple[dict[str, Tensor], dict[str, list[Tensor]]]:
        """Return the step's losses by task, and their gradients with respect to the shared parameters."""
        losses: dict[str, Tensor] = {}
        gradients: dict[str, list[Tensor]] = {}
        for each in step.replay():
            last = len(each.losses) - 1
            for number, (task, loss) in enumerate(each.losses.items()):
                found = torch.autograd.grad(loss, shared, retain_graph=number < last, allow_unused=True)
                parts = [torch.zeros_like(p) if part is None else part for p, part in zip(shared, found, strict=True)]
                before = gradients.get(task)
                gradients[task] = parts if before is None else [a + b for a, b in zip(before, parts, strict=True)]
                losses[task] = losses[task] + loss.detach() if task in losses else loss.detach()
        ordered = [task for task in step.tasks if task in losses]
        return {task: losses[task] for task in ordered}, gradients
