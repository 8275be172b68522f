"""Tasks in turn."""

from collections.abc import Mapping

from mtl_cli.schedules.base import Schedule, turns


class RoundRobin(Schedule):
    """One task per step, or the tasks of one dataset, in turn.

    Args:
        epoch_length: see `Schedule`; "sum" gives every dataset a pass where there is one task per dataset.
        unit: what takes a turn, "task" or "dataset" (all its tasks at once).
        steps_per_pass: see `Schedule`, as the following.
        sizes: training samples, by dataset.
        dataset_of: the dataset of each trained task.
        seed: seed of the run; not used.

    Raises:
        ValueError: `unit` is neither.
    """

    def __init__(
        self,
        epoch_length: str | int,
        unit: str,
        *,
        steps_per_pass: Mapping[str, int],
        sizes: Mapping[str, int],
        dataset_of: Mapping[str, str],
        seed: int,
    ) -> None:
        super().__init__(epoch_length, steps_per_pass=steps_per_pass, sizes=sizes, dataset_of=dataset_of, seed=seed)
        self.turns = turns(unit, dataset_of)

    def tasks(self, step: int) -> tuple[str, ...]:
        """Return the tasks whose turn step `step` is."""
        return self.turns[step % len(self.turns)]
