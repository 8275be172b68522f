"""Errors that end in a short message, and the search for the nearest valid name."""

import errno
import re
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

    def _render_traceback_(self) -> list[str]:
        """What IPython shows: the message without the way to it, which tells a user nothing."""
        return [f"{type(self).__name__}: {self}"]


class Busy(UserError):
    """A run directory in which another process works."""

    def __init__(self, path: object) -> None:
        super().__init__(f"Another process works in {path}. Wait for it, or give another hydra.run.dir.")


class RunFailure(RuntimeError):
    """A run that had started and cannot go on (a loss that is not finite, a full disk). It ends with exit code 1."""


_SPACES = "\n\t\u00a0\u3000\u200c\u200d"
"""What does not print and belongs to texts all the same: lines, other spaces, and what joins letters or not."""
_NO_MEMORY = ("can't allocate memory", "size calculation overflowed", "integer multiplication overflow")
"""What torch says on a CPU of a tensor that does not fit; the last two, of one with more bytes than a number counts."""
SMALLER = "Use a smaller data.batch_size, a smaller backbone, or trainer.precision=bf16."


def printable(text: str, spaces: str = _SPACES) -> str:
    """Return a text with all characters escaped that could move the cursor, change colours or hide others."""
    return text if text.isprintable() else "".join(c if c.isprintable() or c in spaces else escape(c) for c in text)


def escape(character: str) -> str:
    """Return a character by its number, as YAML and JSON write it in double quotes."""
    number = ord(character)
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


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


def smaller_parts(batch_size: int, accumulate: int) -> str:
    """Return how the same steps need less memory: a step holds one draw of `batch_size` rows at a time."""
    if batch_size == 1:
        return "Use a smaller backbone, or trainer.precision=bf16."
    return (
        f"Use data.batch_size={batch_size // 2} trainer.accumulate={2 * accumulate}, which take the same step in "
        "smaller parts, a smaller backbone, or trainer.precision=bf16."
    )


def exhausted(error: BaseException, where: str = "", smaller: str = SMALLER) -> str:
    """Return the message for an error that says what the machine has too little of; empty for other errors.

    `smaller` tells what needs less memory.
    """
    if too_many_files(error):
        return f"Too many files are open at once{where}. Allow more by ulimit -n 1024, or use fewer data.workers."
    if isinstance(error, FileNotFoundError) and (
        found := re.search("No usable temporary directory found in (.*)", str(error))
    ):
        return f"No folder for temporary files can be written: {found[1]}. Name another before the command: TMPDIR=DIR."
    return f"Out of memory{where}. {smaller}" if out_of_memory(error) else ""


def not_installed(what: str, error: ImportError, extra: str) -> UserError:
    """Return the error for an optional package that is missing; it says what the package does and how to install it."""
    return UserError(f"{what} ({error}). Install it: pip install 'mtl-cli[{extra}]'.")


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ' Did you mean …?' for the one of `known` that `name` misspells, or an empty string (`nearest_name`)."""
    found = nearest_name(name, known)
    return f" Did you mean '{found}'?" if found else ""


def nearest_name(name: str, known: Iterable[str]) -> str:
    """Return the one of `known` that `name` misspells, or an empty string: no hint is better than a wrong one.

    Names that are equal but for case and separators are the same. Otherwise few slips may lie between them, the first
    letter must be right, and so must what tells variants apart: numbers, and words of one or two letters. (ResNet50 is
    not ResNet18, IMTL-G is not IMTL-L.) Where two names are as near, none is returned.
    """
    listed = sorted(set(known))
    plain = _letters(name)
    if not plain or name in listed:
        return name if name in listed else ""
    numbers = re.findall(r"\d+", name)
    alike = [each for each in listed if re.findall(r"\d+", each) == numbers]
    if same := [each for each in alike if _letters(each) == plain]:
        return same[0] if len(same) == 1 else ""
    short = _short_words(name)
    costs = {
        each: cost
        for each in alike
        if _letters(each)[:1] == plain[0] and abs(len(each) - len(name)) < 4 and _short_words(each) == short
        if (cost := _slips(plain, _letters(each))) <= (1 if max(len(plain), len(_letters(each))) < 8 else 2)
    }
    best = [each for each, cost in costs.items() if cost == min(costs.values())]
    return best[0] if len(best) == 1 and len(plain) > 1 and len(_letters(best[0])) > 2 else ""


def _letters(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())


def _short_words(name: str) -> list[str]:
    words = re.findall(r"[^\W_]+", name.casefold())
    return [word for word in words if len(word) < 3] if len(words) > 1 else []


def _slips(typed: str, meant: str) -> int:
    """Return the cost of the slips that turn `meant` into `typed`.

    A letter that is left out or doubled, or two that are swapped, cost 1, another letter 2. A letter too many costs 3,
    because it usually makes another name (NAdam, ResNeXt, devices).
    """
    costs = {(0, j): j for j in range(len(meant) + 1)}
    for i, letter in enumerate(typed, start=1):
        doubled = letter == typed[i - 2 : i - 1]
        costs[i, 0] = costs[i - 1, 0] + (1 if doubled else 3)
        for j, other in enumerate(meant, start=1):
            costs[i, j] = min(
                costs[i, j - 1] + 1,
                costs[i - 1, j] + (1 if doubled else 3),
                costs[i - 1, j - 1] + (0 if letter == other else 2),
            )
            if i > 1 and j > 1 and typed[i - 2 : i] == meant[j - 1] + meant[j - 2]:
                costs[i, j] = min(costs[i, j], costs[i - 2, j - 2] + 1)
    return costs[len(typed), len(meant)]


def some(names: Iterable[str], most: int = 24) -> str:
    """Return names in one line, `most` of them at most, because a run may have hundreds of tasks."""
    listed = list(names)
    return ", ".join(listed[:most]) + (f", … ({len(listed)})" if len(listed) > most else "")


class Pruned(Exception):
    """Raised where a run is stopped because others promise more; its status says so, with the reason."""


class Interrupted(Exception):
    """Raised where a run has stopped on a signal, after it saved."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
