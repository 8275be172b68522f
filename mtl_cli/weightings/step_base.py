"""What a run offers to a weighting: one optimizer step with its passes, which parameters are shared, the setting."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor, nn

from mtl_cli.weightings.linalg.jacobian import Jacobian
from mtl_cli.weightings.linalg.views import Views
from mtl_cli.weightings.losses_base import TaskLosses, vector_of
from mtl_cli.weightings.readout_base import LastLayer, Readout


@dataclass(frozen=True)
class Pass:
    """One forward over one micro-batch of every dataset drawn.

    `losses` (scalars, float32) hold the declared weights and the micro-batch's share of the step's labels, so that
    their sums over the passes of a step, in all its draws, are the losses that a weighting balances. `boundary` is
    filled when asked for.
    `micro` is the number of the micro-batch in its step; it seeds what is drawn per micro-batch. `readouts` makes the
    last layers of the tasks, for weightings that say `needs_readouts`. `views` are there with a boundary: one for each
    stack, tasks that are computed as one.
    """

    losses: Mapping[str, Tensor]
    boundary: list[Tensor]
    micro: int
    readouts: Callable[[], dict[str, Readout]] = dict
    views: Sequence[Views] = ()

    @property
    def apart(self) -> Mapping[str, Tensor]:
        """The losses of the tasks that have no `views`."""
        return self.losses.scalars if self.views and isinstance(self.losses, TaskLosses) else self.losses

    def vector(self, tasks: tuple[str, ...]) -> Tensor:
        """Return the losses [K] of some of the tasks, in their order."""
        return vector_of(self.losses, tasks)


@dataclass(frozen=True)
class Partition:
    """Which trained parameters are reached by several tasks (`shared`) and which by one (`specific`).

    `trunk` lies below the boundary, `above` between the boundary and the losses; both cover all parameters once.
    The four lists are in the order of `model.parameters()`. Tasks that are computed as one have no `specific`
    parameters: `stacked` has those of each stack, [T, ...], by the names of its tasks.
    """

    shared: list[nn.Parameter]
    specific: dict[str, list[nn.Parameter]]
    trunk: list[nn.Parameter]
    above: list[nn.Parameter]
    stacked: Mapping[tuple[str, ...], Sequence[nn.Parameter]] = field(default_factory=dict)


class Step(Protocol):
    """What a weighting sees of one optimizer step."""

    index: int
    """Number of the step, from 0; with `seed` it seeds a method's random stream."""
    seed: int
    tasks: tuple[str, ...]
    """The tasks that have a label in this step, in the fixed order of all tasks."""
    partition: Partition
    num_passes: int
    """Micro-batches in this step, of all processes (`trainer.devices` × `trainer.accumulate`)."""
    keeps_graph: bool
    """Whether this process has one micro-batch, whose graph it may keep until the losses of the step are known."""
    num_draws: int
    """Parts that the batch of this step is split into (`Weighting.num_draws`)."""
    logging: bool
    """Whether this step is logged: the time to `note` what is worth a record."""

    def passes(self, draw: int = 0, boundary: bool = False) -> Iterator[Pass]:
        """Yield one Pass per micro-batch of this process that has a label, lazily; there may be none.

        Use up each graph before asking for the next. `draw` < `num_draws` picks one of the independent parts that each
        batch is split into.
        """
        ...

    def total(self, part: Tensor) -> Tensor:
        """Return the sum of what the processes have of the step, with the same bytes in each; every one must call."""
        ...

    def sum_rows(self, jacobian: Jacobian) -> None:
        """Add up the rows of gradients that the processes have recorded; every one must call."""
        ...

    def sum_gradients(self) -> None:
        """Add up over the processes what the passes have left in `.grad` of the model's parameters.

        Called once in `backward`, behind the last pass, and before anything that is of the whole step is written into
        a gradient or a gradient is scaled.
        """
        ...

    def share(self, task: str, draw: int) -> float:
        """Return the part of the step's labels of a task that a draw holds; 0 to 1."""
        ...

    def replay(self) -> Iterator[Pass]:
        """Yield the passes of all draws once more, under the present parameters and the same dropout masks.

        Without a boundary, and without a trace in BatchNorm's buffers once all are used up.
        """
        ...

    def losses_now(self) -> Mapping[str, Tensor]:
        """Return the losses of the whole step under the present parameters, from a replay without gradients."""
        ...

    def condition(self, vector: Tensor) -> None:
        """Give the model the vector [T] that its features depend on in this step; see `Weighting.condition`."""
        ...

    def note(self, name: str, value: Tensor) -> None:
        """Record a scalar under `name`, such as "conflicts"; read without a device sync, on log steps only."""
        ...


@dataclass(frozen=True)
class Setting:
    """What a run offers to its weighting; checked before the first step."""

    weights: Mapping[str, float]
    """Declared weights of the trained tasks."""
    num_datasets: int
    num_shared: int
    """Trained parameters that two tasks or more reach."""
    has_boundary: bool
    always_all: bool
    """Whether every task has a label in every step."""
    last_layers: Mapping[str, LastLayer] = field(default_factory=dict)
    """The last layers of the trained tasks; asked for by `needs_readouts`."""
    num_epochs: float = math.inf
    """Length of the run."""
    momentum: float = 0.0
    """Part of its average of gradients that the optimizer keeps in a step."""
