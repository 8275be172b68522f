"""Errors that end in a short message, and the search for the nearest valid name."""

import difflib
import errno
from collections.abc import Iterable, Sequence

EXIT_DONE, EXIT_FAILURE, EXIT_USAGE = 0, 1, 2
EXIT_CTRL_C, EXIT_SIGTERM, EXIT_SIGUSR1 = 130, 143, 138


class UserError(ValueError):
    """An error that a user can fix, in a config, a file or a checkpoint. It ends with exit code 2 and no traceback.

    `problems` are messages of one or a few lines. All problems that could be found are reported together.
    """

    def __init__(self, problems: str | Sequence[str]) -> None:
        self.problems: list[str] = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(self.problems))


class RunFailure(RuntimeError):
    """A run that had started and cannot go on (a loss that is not finite, a full disk). It ends with exit code 1."""


_NO_MEMORY = ("can't allocate memory", "size calculation overflowed", "integer multiplication overflow")
"""What torch says on a CPU of a tensor that does not fit; the last two, of one with more bytes than a number counts."""
SMALLER = (
    "Use a smaller data.batch_size with trainer.accumulate=2 or more (the same step in parts), a smaller backbone, or "
    "trainer.precision=bf16."
)


def out_of_memory(error: BaseException) -> bool:
    """True for the errors by which Python, torch and its CPU allocator say so."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # torch may not be imported
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _NO_MEMORY)


def too_many_files(error: BaseException | None) -> bool:
    """True where an error, or one that caused it, says that this process or the machine may open no more files."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
            return True
        if "Too many open files" in str(error):  # torch's workers say it in words
            return True
        error = error.__cause__
    return False


def exhausted(error: BaseException, where: str = "") -> str:
    """Return the message for an error that says what the machine has too little of; empty for other errors."""
    if too_many_files(error):
        return f"Too many files are open at once{where}. Allow more by ulimit -n 1024, or use fewer data.workers."
    return f"Out of memory{where}. {SMALLER}" if out_of_memory(error) else ""


def not_installed(what: str, error: ImportError, extra: str) -> UserError:
    """Return the error for an optional package that is missing; it says what the package does and how to install it."""
    return UserError(f"{what} ({error}). Install it: pip install 'mtl-cli[{extra}]'.")


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ' Did you mean …?' for the nearest of `known` names, or an empty string where none is near."""
    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" Did you mean '{matches[0]}'?" if matches else ""


def some(names: Iterable[str], most: int = 24) -> str:
    """Return names in one line, `most` of them at most, because a run may have hundreds of tasks."""
    listed = list(names)
    return ", ".join(listed[:most]) + (f", … ({len(listed)})" if len(listed) > most else "")


class Interrupted(Exception):
    """Raised where a run has stopped on a signal, after it saved."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
