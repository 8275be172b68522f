"""Signals that ask a run to stop: it saves at the next step and ends with the signal's exit code."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from mtl_cli.errors import EXIT_CTRL_C, EXIT_SIGTERM, EXIT_SIGUSR1

CODES = {signal.SIGINT: EXIT_CTRL_C, signal.SIGTERM: EXIT_SIGTERM, signal.SIGUSR1: EXIT_SIGUSR1}


class StopRequest:
    """Remembers the first signal that asked to stop."""

    def __init__(self) -> None:
        self.code: int | None = None
        self.name = ""

    def receive(self, number: int, frame: FrameType | None) -> None:
        """Note the first signal; a Ctrl-C after it stops at once, without saving."""
        if self.code is None:
            self.code, self.name = CODES[signal.Signals(number)], signal.Signals(number).name
        elif number == signal.SIGINT:
            raise KeyboardInterrupt


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Turn SIGINT, SIGTERM and SIGUSR1 into a StopRequest for a block; in other threads than the first, do nothing."""
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.signal(number, request.receive) for number in CODES}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
