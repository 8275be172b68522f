"""Every task in every step."""

from mtl_cli.schedules.base import Schedule


class Joint(Schedule):
    """All tasks take part in every step; datasets shorter than the epoch are reshuffled and repeated."""

    gives_all_tasks = True

    def tasks(self, step: int) -> tuple[str, ...]:
        """Return all tasks."""
        return tuple(self.dataset_of)
