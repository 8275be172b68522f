"""What the console shows of the log: plain lines, fewer or more of them."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from mtl_cli.errors import printable

logger = logging.getLogger("mtl_cli")


class PlainLines(logging.Formatter):
    """Escapes what a message holds of data, such as the labels of a file, that a terminal would take for commands."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the message."""
        return printable(super().format(record))


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
