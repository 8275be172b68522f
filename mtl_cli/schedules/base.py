"""What a schedule is: which tasks take part in a step, as a pure function of the step's number."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

LENGTHS = ("longest", "shortest", "sum")
UNITS = ("task", "dataset")


class Schedule(ABC):
    """A schedule, built with the arguments of its YAML plus what follows the asterisk.

    Args:
        epoch_length: "longest", "shortest" or "sum" of the datasets' passes, or a number of optimizer steps.
        steps_per_pass: optimizer steps that one pass over a dataset takes, by dataset.
        sizes: training samples, by dataset.
        dataset_of: the dataset of each trained task, in the fixed order of tasks.
        seed: seed of the run.
    """

    gives_all_tasks: ClassVar[bool] = False
    """Whether every step has every task."""

    def __init__(
        self,
        epoch_length: str | int,
        *,
        steps_per_pass: Mapping[str, int],
        sizes: Mapping[str, int],
        dataset_of: Mapping[str, str],
        seed: int,
    ) -> None:
        self.steps_per_pass, self.sizes, self.dataset_of, self.seed = steps_per_pass, sizes, dataset_of, seed
        self.steps_per_epoch = epoch_steps(epoch_length, steps_per_pass)

    @abstractmethod
    def tasks(self, step: int) -> tuple[str, ...]:
        """Return the tasks of optimizer step `step` (from 0), in the fixed order of tasks."""


def epoch_steps(length: str | int, steps_per_pass: Mapping[str, int]) -> int:
    """Return the optimizer steps of an epoch.

    Raises:
        ValueError: `length` is none of the known words and no positive number.
    """
    if isinstance(length, str) and length in LENGTHS:
        steps = list(steps_per_pass.values())
        return {"longest": max(steps), "shortest": min(steps), "sum": sum(steps)}[length]
    if isinstance(length, int) and length > 0:
        return length
    raise ValueError(
        f"schedule.epoch_length is {length!r}; it is one of {', '.join(LENGTHS)} or a number of steps ≥ 1."
    )


def turns(unit: str, dataset_of: Mapping[str, str]) -> list[tuple[str, ...]]:
    """Return what can take a turn: each task alone, or all tasks of a dataset together.

    Raises:
        ValueError: `unit` is neither "task" nor "dataset".
    """
    if unit not in UNITS:
        raise ValueError(f"schedule.unit is {unit!r}; it is one of {', '.join(UNITS)}.")
    if unit == "task":
        return [(task,) for task in dataset_of]
    datasets = dict.fromkeys(dataset_of.values())
    return [tuple(task for task, of in dataset_of.items() if of == dataset) for dataset in datasets]
