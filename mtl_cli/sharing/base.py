"""What a sharing mode is: which computation the tasks have in common."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor, nn

from mtl_cli.batch import Inputs
from mtl_cli.features import Features, FeatureSpec


@dataclass(frozen=True)
class Shared:
    """Features by task; `boundary`, where shared computation hands over to the tasks; a penalty on this batch."""

    features: dict[str, Features]
    boundary: list[Tensor] = field(default_factory=list)
    penalty: Tensor | None = None


class Sharing(nn.Module, ABC):
    """A sharing mode, built with the arguments of its YAML plus `backbone` (a BackboneFactory) and `tasks` (all names).

    `specs` gives the features' spec per task, for its head. No module runs whose output reaches no task in the batch.
    """

    specs: dict[str, FeatureSpec]
    has_boundary: bool = False
    """Whether `forward` can name the tensors where shared computation hands over to the tasks."""
    penalises: bool = False
    """Whether `forward` may return a penalty on the batch."""
    runs_whole_modules: ClassVar[bool] = True
    """Whether weights are used only where their stage, or the mode itself, is run; see `trainer.strategy=fsdp`."""
    same_features: bool = False
    """Whether `forward` returns one and the same `Features` for all tasks of a dataset."""

    @abstractmethod
    def forward(self, inputs: Inputs, tasks: Sequence[str], boundary: bool = False) -> Shared:
        """Return features of the given tasks, which all belong to the dataset of `inputs`.

        With `boundary`, `Shared.boundary` holds the tensors (as `alias`es) where shared computation hands over.
        """

    def start_step(self, seed: int, index: int, done: float) -> None:
        """Take note of the step that comes next: the run's seed, its number, the part `done` < 1 of steps behind it.

        Nothing by default. What a mode does with it is a pure function of these and of its state, so that a resumed run
        goes on as it would have. The parameters that tasks share are found as the first step finds the mode.
        """

    def state_problem(self, names: Collection[str]) -> str | None:
        """Return what an older version's state lacks for this mode, by the names of its weights, in words, or None."""
        return None

    def regularizer(self) -> Tensor | None:
        """Return a scalar that depends on parameters only, added once per step; None where there is none."""
        return None
