"""How far a sweep is: jobs that are done, and the time that the others will take."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mtl_cli.report.tables import duration

logger = logging.getLogger("mtl_cli")
POLL_SECONDS = 5.0
"""How often jobs that run elsewhere are counted."""


class Progress:
    """Counts the jobs that end while it exists; those that were complete before tell nothing about time."""

    def __init__(self, total: int, complete: int) -> None:
        self.total, self.complete, self.ended = total, complete, 0
        self.start = time.monotonic()

    def left(self) -> str:
        """Return ", about 6 min 10 s left", nothing before the first job has ended."""
        rest = self.total - self.complete - self.ended
        if not self.ended or rest <= 0:
            return ""
        return f", about {duration((time.monotonic() - self.start) / self.ended * rest)} left"


@contextmanager
def counted(total: int, complete: Callable[[], int]) -> Iterator[None]:
    """Log a line whenever jobs have become complete in the course of a block, which runs them elsewhere."""
    progress, stop = Progress(total, complete()), threading.Event()

    def watch() -> None:
        while not stop.wait(POLL_SECONDS):
            ended = complete() - progress.complete
            if ended > progress.ended:
                progress.ended = ended
                logger.info("%d of %d jobs done%s", progress.complete + ended, total, progress.left())

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
