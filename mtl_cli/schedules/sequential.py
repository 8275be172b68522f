"""Task after task."""

import random
from collections.abc import Mapping

from mtl_cli.schedules.base import Schedule
from mtl_cli.seeding import derive

LENGTH_UNITS = ("epochs", "steps")


class Sequential(Schedule):
    """One task after the other in their given order, each for `length` epochs or steps; the last until the run's end.

    With `rehearsal`, a step trains one of the earlier tasks instead with that probability; it is drawn uniformly.

    Source: experience replay in Robins, "Catastrophic Forgetting, Rehearsal and Pseudorehearsal", Connection Science
    1995. Differs from it in rehearsing on whole training sets rather than on a buffer.

    Args:
        epoch_length: see `Schedule`.
        length: epochs or steps of each task; an epoch is one of the run, as `epoch_length` gives it.
        unit: "epochs" or "steps".
        rehearsal: probability of a step on an earlier task, in [0, 1).
        steps_per_pass: see `Schedule`, as the following.
        sizes: training samples, by dataset.
        dataset_of: the dataset of each trained task.
        seed: seed of the run; with a step's number it gives that step's draw.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        epoch_length: str | int,
        length: int,
        unit: str,
        rehearsal: float,
        *,
        steps_per_pass: Mapping[str, int],
        sizes: Mapping[str, int],
        dataset_of: Mapping[str, str],
        seed: int,
    ) -> None:
        super().__init__(epoch_length, steps_per_pass=steps_per_pass, sizes=sizes, dataset_of=dataset_of, seed=seed)
        if length < 1:
            raise ValueError(f"schedule.length is {length}; each task has at least 1. Use schedule.length=1.")
        if unit not in LENGTH_UNITS:
            raise ValueError(f"schedule.unit is {unit!r}; it is one of {', '.join(LENGTH_UNITS)}.")
        if not 0.0 <= rehearsal < 1.0:
            raise ValueError(f"schedule.rehearsal is {rehearsal}; it is a probability in [0, 1).")
        self.order = tuple(dataset_of)
        self.steps_per_task = length * (self.steps_per_epoch if unit == "epochs" else 1)
        self.rehearsal = rehearsal

    def tasks(self, step: int) -> tuple[str, ...]:
        """Return the one task of step `step`."""
        current = min(step // self.steps_per_task, len(self.order) - 1)
        if current == 0 or self.rehearsal == 0.0:
            return (self.order[current],)
        stream = random.Random(derive(self.seed, "schedule", step))
        rehearses = stream.random() < self.rehearsal
        return (stream.choice(self.order[:current]) if rehearses else self.order[current],)
