"""The seconds of training, apart from evaluations and checkpoints."""

import time

from mtl_cli.storage.directory import RunDirectory
from mtl_cli.training.job import Job, Progress


class Clock:
    """Adds the seconds of training, without evaluations, to a run's progress."""

    def __init__(self, job: Job) -> None:
        self.progress, self.spans = job.progress, job.learner.spans
        self.spans.take()
        self.start = self.last_save = time.perf_counter()

    def count(self) -> None:
        """Add the time since the last call, or since `resume`, to that of training."""
        now = time.perf_counter()
        self.progress.train_seconds += now - self.start
        self.progress.seconds += now - self.start
        for name, seconds in self.spans.take().items():
            self.progress.spans[name] = self.progress.spans.get(name, 0.0) + seconds
        self.start = now

    def resume(self, out: RunDirectory, progress: Progress) -> None:
        """Leave the time since `count` out of training's, and write the samples/s so far to timing.jsonl."""
        now = time.perf_counter()
        progress.seconds += now - self.start
        rate = progress.samples / progress.train_seconds if progress.train_seconds else 0.0
        out.timing.write(
            {"step": progress.step, "seconds": progress.seconds, "train_seconds": progress.train_seconds,
             "samples_per_second": rate, "spans": progress.spans}
        )  # fmt: skip
        self.start = now

    def since_save(self) -> float:
        """Return the seconds since the last checkpoint by time."""
        return time.perf_counter() - self.last_save

    def saved(self) -> None:
        """Note a checkpoint."""
        self.last_save = time.perf_counter()
