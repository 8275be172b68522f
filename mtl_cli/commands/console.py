"""What the console shows of the log: plain lines, fewer or more of them."""

import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from mtl_cli.errors import printable

logger = logging.getLogger("mtl_cli")
RESULT = "result"
"""Marks a log record that is a run's final table: logger.warning(…, extra={RESULT: True})."""


class PlainLines(logging.Formatter):
    """Escapes what a message holds of data, such as the labels of a file, that a terminal would take for commands."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the message."""
        return printable(super().format(record))


def mute() -> None:
    """Print nothing more: nobody reads standard output on, and the interpreter has to flush it when it ends."""
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115  open until the interpreter ends


class Console(logging.Handler):
    """Writes log messages to standard output, warnings to standard error, around a progress bar if one is shown."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one message."""
        try:
            stream = sys.stderr if record.levelno > logging.WARNING else sys.stdout
            tqdm = sys.modules.get("tqdm")
            if tqdm is not None:
                tqdm.tqdm.write(self.format(record), file=stream)
            else:
                print(self.format(record), file=stream)
            stream.flush()
        except BrokenPipeError:  # nobody reads on, such as behind `mtl-report DIR | head`: the work is finished unseen
            mute()
        except (OSError, ValueError):
            self.handleError(record)


@contextmanager
def console(verbose: bool = False, quiet: bool = False) -> Iterator[None]:
    """Show the log on the console for a block: everything (verbose), the usual, or warnings only (quiet)."""
    handler = Console()
    handler.setFormatter(PlainLines("%(message)s"))
    handler.setLevel(logging.DEBUG if verbose else logging.WARNING if quiet else logging.INFO)
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG if verbose else logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


def console_of(values: Mapping[str, Any]) -> AbstractContextManager[None]:
    """Show as much of the log as `verbose` and `quiet` among the values of a config or command line say."""
    return console(values.get("verbose", False), values.get("quiet", False))


@contextmanager
def results_of_runs(shown: bool) -> Iterator[None]:
    """Leave the final tables of runs out of what the console shows for a block, unless they are `shown`.

    A quiet sweep shows its own tables only. The log files of its runs have theirs.
    """
    handlers = [] if shown else [handler for handler in logger.handlers if isinstance(handler, Console)]
    for handler in handlers:
        handler.addFilter(_is_no_result)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(_is_no_result)


def _is_no_result(record: logging.LogRecord) -> bool:
    return not getattr(record, RESULT, False)
