"""Processes that work at the trials of one search: each runs the command of the search for itself."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator

from mtl_cli.commands.command_line import CommandLine

_START = (
    "import os, sys; from mtl_cli.commands.sweeps.launch import end_with; end_with(int(sys.argv[1])); "
    "from mtl_cli.cli import main; sys.exit(main(sys.argv[2:]))"
)
"""What a worker runs; it ends with its parent."""


@contextlib.contextmanager
def working(line: CommandLine, workers: int) -> Iterator[None]:
    """Let `workers` − 1 other processes work beside a block; they have ended after it.

    Where the block ends by an exception they are asked to stop, so that their runs are saved.
    """
    import os

    words = [text for text in line.arguments if not text.startswith("search.workers=")]
    command = [sys.executable, "-c", _START, str(os.getpid()), *words, "quiet=true", "verbose=false"]
    with contextlib.ExitStack() as stack:
        others = [
            stack.enter_context(
                subprocess.Popen(
                    command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
                )
            )
            for _ in range(workers - 1)
        ]
        try:
            yield
        except BaseException:
            for other in others:
                other.terminate()
            raise
