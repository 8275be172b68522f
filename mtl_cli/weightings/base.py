"""What a weighting is: how one optimizer step turns the tasks' losses into gradients."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from mtl_cli.seeding import derive
from mtl_cli.weightings.losses_base import backpropagate_sum, places, vector_of
from mtl_cli.weightings.step_base import Pass, Setting, Step


def require(holds: bool, name: str, value: object, rule: str, example: object) -> None:
    """Check one hyper-parameter of a weighting.

    Raises:
        ValueError: `holds` is false, or the value is infinite or not a number.
    """
    if not holds or (isinstance(value, float) and not math.isfinite(value)):
        raise ValueError(f"weighting.{name} must be {rule}, not {value!r}. Try weighting.{name}={example}.")


class Weighting(nn.Module, ABC):
    """A weighting, built with the arguments of its YAML plus `tasks`: the names of all trained tasks, in fixed order.

    What must survive a resume is a parameter, a buffer or an entry of its state. Parameters of a weighting are trained
    in a group of their own: `lr`, no weight decay, not clipped, not averaged.
    """

    num_draws: ClassVar[int | None] = 1
    """Independent parts that each batch is split into; None makes one of each row."""
    steps_without_labels: ClassVar[bool] = False
    """Whether the optimizer takes a step also where no row of the batch has a label."""
    takes_scaled: ClassVar[bool] = False
    """Whether gradients that flow into the model may be multiplied, and divided behind `backward`, as fp16 needs."""
    is_sum: ClassVar[bool] = False
    """Whether the total loss is the plain sum of the losses, whatever they are; then there is nothing to `observe`."""
    needs_all_tasks: ClassVar[bool] = False
    """Whether the method's state cannot live with a step in which a task is absent."""
    scale_invariant: ClassVar[bool] = False
    """Whether declared weights have no effect under this method, so that they are refused."""
    needs_shared: ClassVar[bool] = False
    """Whether there is nothing to balance without shared parameters."""
    needs_readouts: ClassVar[bool] = False
    """Whether the method reads the tasks' last layers (`Pass.readouts`), which not every task, head and mode offers."""
    takes_stacks: ClassVar[bool] = False
    """Whether tasks of one form may be computed as one: not where it uses the parameters or the gradient of a task.

    One that uses gradients takes those of stacked tasks from `Pass.views`.
    """
    takes_parts: ClassVar[bool] = False
    """Whether each process may hold a part of every parameter and gradient: where the losses alone are balanced."""
    min_tasks: ClassVar[int] = 1
    lr: float = 0.025
    """Learning rate of the weighting's own parameters."""

    def __init__(self, *, tasks: Sequence[str]) -> None:
        super().__init__()
        self.tasks = tuple(tasks)
        self._present: dict[tuple[str, ...], Tensor] = {}
        self._numbers: dict[int, list[int]] = {}
        self._device_of_state = torch.device("cpu")
        self.at: tuple[int, ...] = (0, 0)
        """Seed and number of the present step: with the class's name they seed `stream`."""

    def stream(self, device: torch.device | str = "cpu") -> torch.Generator:
        """Return a fresh random stream of this step: the same one however often it is asked for, on every rank."""
        return torch.Generator(device).manual_seed(derive(*self.at, type(self).__name__))

    def by_name(self, draws: Tensor) -> Tensor:
        """Return draws [T, ...], made for the tasks in the order of their names, in the order of `tasks`.

        So that what is drawn for a task does not depend on its place in the list.
        """
        order = sorted(self.tasks)
        return draws[[order.index(task) for task in self.tasks]]

    def problems(self, setting: "Setting") -> list[str]:
        """Return what keeps this weighting from serving a run, each with the override that fixes it."""
        found = []
        name = type(self).__name__
        if len(self.tasks) < self.min_tasks:
            found.append(f"{name} needs {self.min_tasks} tasks or more, not {len(self.tasks)}. Use weighting=fixed.")
        if self.needs_shared and not setting.num_shared:
            found.append(
                f"{name} balances gradients of shared parameters, and no trained parameter is reached by two tasks. "
                "Use weighting=fixed, or a mode that shares, such as sharing=hard."
            )
        if self.needs_all_tasks and not setting.always_all:
            found.append(
                f"{name} keeps state that needs every task in every step, and this schedule leaves tasks out. "
                "Use schedule=joint or weighting=fixed."
            )
        if self.scale_invariant:
            found += [
                f"Under {name} declared weights have no effect, and tasks.{task}.weight={weight:g}. "
                f"Use tasks.{task}.weight=1 or weighting=fixed."
                for task, weight in setting.weights.items()
                if weight != 1
            ]
        if self.needs_readouts:
            problems = [layer.problem for layer in setting.last_layers.values() if layer.problem]
            found += [f"{name} reads last layers. {problem}" for problem in problems]
        return found

    def cautions(self, setting: "Setting") -> list[str]:
        """Return what makes the method other than it seems in a run that it can serve, each with an override."""
        if setting.num_epochs > self.silent_epochs or not self.silent_epochs:
            return []
        return [
            f"{type(self).__name__} begins after {self.silent_epochs} epochs of warm-up, and this run has "
            f"{setting.num_epochs:g}: it never does. "
            f"Use trainer.max_epochs={3 * self.silent_epochs} trainer.max_steps=null."
        ]

    @property
    def silent_epochs(self) -> int:
        """Epochs before the method begins."""
        return 0

    @property
    def condition(self) -> list[float] | None:
        """A vector [T] that the features depend on outside of training; None where they depend on inputs alone.

        With one, every stage of the model is conditioned on it (`mtl_cli.model.conditioning`). In training, `backward`
        says for each step which vector it is (`Step.condition`).

        Raises:
            ValueError: what was set does not fit the tasks.
        """
        return None

    def present(self, tasks: Sequence[str]) -> Tensor:
        """Return the indices [K] of `tasks` in the fixed order of all tasks [T], where the weighting's state is.

        They are made once: on a GPU a step that indexes by a new tensor, or by one of the CPU, waits for the device.
        """
        key = tuple(tasks)
        if key not in self._present:
            numbers = [self.tasks.index(task) for task in key]
            self._present[key] = torch.tensor(numbers, device=self._device_of_state)
            self._numbers[id(self._present[key])] = numbers
        return self._present[key]

    def numbers(self, present: Tensor) -> list[int]:
        """Return what `present` made as plain numbers, without asking the device; other indices are read."""
        return self._numbers[id(present)] if id(present) in self._numbers else present.tolist()

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        self._present, self._numbers = {}, {}
        self._device_of_state = fn(torch.empty(0)).device
        return super()._apply(fn, recurse)

    @abstractmethod
    def backward(self, step: Step) -> dict[str, Tensor]:
        """Fill `.grad` of the model's and the weighting's parameters; return the weights used, by task.

        The weights multiply the declared-weighted losses. They may be left out (an empty dict) on steps not logged.
        """

    def after_step(self, step: Step) -> None:
        """Act after the optimizer's step; nothing by default."""

    def after_epoch(self) -> None:
        """Act at the end of an epoch; nothing by default."""


class LossWeighting(Weighting):
    """A weighting whose total loss is a function of the losses alone. Heads are weighted like the trunk."""

    takes_stacks = True
    takes_parts = True
    takes_scaled = True
    linear: ClassVar[bool] = False
    """Whether the weights do not depend on the losses, so that accumulation needs no pass to find them."""

    @abstractmethod
    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        """Return the total loss, a scalar: losses [K] of the present tasks, whose indices in T are `present` [K].

        Pure: it may be called twice in a step. What it draws comes from `stream`; what it learns, from `observe`.
        """

    def observe(self, losses: Tensor, present: Tensor) -> None:
        """Take note of the step's losses [K], once per step; nothing by default."""

    def backward(self, step: Step) -> dict[str, Tensor]:
        """Backpropagate the total loss; with several micro-batches, through weights ∂total/∂L from the whole step."""
        self.at = (step.seed, step.index)
        if step.num_passes > 1:
            found = self._accumulate(step, self.present(step.tasks))
            step.sum_gradients()
            return found
        (only,) = step.passes()
        if self.is_sum and not step.logging:
            backpropagate_sum(only.losses)
            return {}
        present = self.present(step.tasks)
        losses = only.vector(step.tasks)
        weights = self._weights(losses, present) if step.logging else None
        self.forward(losses, present).backward()  # a module's call takes 4 µs more
        self.observe(losses.detach(), present)
        return {} if weights is None else dict(zip(step.tasks, weights, strict=True))

    def _weights(self, losses: Tensor, present: Tensor) -> Tensor:
        leaf = losses.detach().requires_grad_()
        return torch.autograd.grad(self(leaf, present), leaf)[0]

    def _accumulate(self, step: Step, present: Tensor) -> dict[str, Tensor]:
        held = list(step.passes()) if step.keeps_graph else None
        if self.linear:
            leaf = torch.ones(len(step.tasks), device=self._device(step))
        elif held is not None:
            leaf = self._totals(step, [each.losses for each in held])
        else:
            now = step.losses_now()
            leaf = vector_of(now, step.tasks)
        leaf.requires_grad_()
        self(leaf, present).backward()  # also the gradients of the weighting's own parameters
        assert leaf.grad is not None
        used_up = self._backpropagated(step.passes() if held is None else held, step.tasks, leaf.grad)
        self.observe(self._totals(step, used_up), present)
        return dict(zip(step.tasks, leaf.grad, strict=True))

    @staticmethod
    def _backpropagated(
        passes: Iterable[Pass], tasks: tuple[str, ...], weights: Tensor
    ) -> Iterator[Mapping[str, Tensor]]:
        """Backpropagate the losses of each pass under the weights [K] of the step's tasks, and yield the losses."""
        for each in passes:
            own = tuple(each.losses)
            (weights[places(tasks, own, weights.device)] * each.vector(own)).sum().backward()
            yield each.losses

    def _totals(self, step: Step, passes: Iterable[Mapping[str, Tensor]]) -> Tensor:
        """Return the losses [K] of the whole step from those of the passes of this process."""
        totals = torch.zeros(len(step.tasks), device=self._device(step))
        for losses in passes:
            tasks = tuple(losses)
            totals[places(step.tasks, tasks, totals.device)] += vector_of(losses, tasks).detach()
        return step.total(totals)

    @staticmethod
    def _device(step: Step) -> torch.device:
        return (step.partition.trunk or step.partition.above)[0].device
