"""The directory of a run: its records, status and checkpoints."""

import contextlib
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout

from mtl_cli.errors import Busy, RunFailure, UserError, printable
from mtl_cli.files import read_json, sweep, write_json, write_text
from mtl_cli.storage import checkpoint
from mtl_cli.storage.records import RecordFile

logger = logging.getLogger("mtl_cli")


class RunDirectory:
    """An open run directory, locked against a second process; `create` and `reopen` make it."""

    def __init__(
        self, path: Path, lock: FileLock, config: Mapping[str, Any], config_hash: str, metrics_length: int | None
    ) -> None:
        self.path, self.config_hash, self._lock = path, config_hash, lock
        self.config_text = to_yaml(config)
        self.checkpoints = path / "checkpoints"
        self.checkpoints.mkdir(exist_ok=True)
        for folder in (path, self.checkpoints, path / "plots", path / "profile"):
            sweep(folder)
        self.metrics = RecordFile(path / "metrics.jsonl", metrics_length)
        self.timing = RecordFile(path / "timing.jsonl", None)
        self._handler = LogFile(path / "train.log", encoding="utf-8")
        self._handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        logger.addHandler(self._handler)

    @classmethod
    def create(cls, path: Path, config: Mapping[str, Any], config_hash: str) -> "RunDirectory":
        """Make a new run directory.

        Raises:
            UserError: it holds a run already, or cannot be made.
        """
        with opening(path) as lock:
            if (path / "status.json").exists():
                raise UserError(
                    f"{path} holds a run already. Give another hydra.run.dir, or continue with resume={path}."
                )
            write_text(path / "config.yaml", to_yaml(config))
            (path / "timing.jsonl").unlink(missing_ok=True)
            return cls(path, lock, config, config_hash, 0)

    @classmethod
    def reopen(cls, path: Path, config: Mapping[str, Any], config_hash: str, metrics_length: int) -> "RunDirectory":
        """Open the directory of an earlier run, its metrics cut back to where the checkpoint was written.

        Raises:
            UserError: another process works in it, or it cannot be written.
        """
        with opening(path) as lock:
            metrics = path / "metrics.jsonl"
            size = metrics.stat().st_size if metrics.exists() else 0
            if size < metrics_length:
                logger.warning(
                    "%s has %d bytes; it had %d when the checkpoint was written, so records are missing.",
                    metrics, size, metrics_length,
                )  # fmt: skip
            return cls(path, lock, config, config_hash, metrics_length)

    def go_back(self, step: int) -> None:
        """Set the checkpoints after a step aside, because the user chose one before them."""
        if aside := checkpoint.set_aside(self.checkpoints, step):
            names = ", ".join(path.name for path in reversed(aside))
            logger.warning("The later checkpoints are kept under other names: %s.", names)

    def take_up(self, step: int, best_step: int, score: float | None) -> None:
        """Make last.json and best.json agree with the checkpoint from which the run continues.

        They do not where the run was killed before it wrote them, or where it goes back to an earlier checkpoint.
        """
        last, best = (checkpoint.path_of(self.checkpoints, each) for each in (step, best_step))
        if last.is_file():
            checkpoint.point(self.checkpoints, "last", last, step, score)
        pointer = self.checkpoints / "best.json"
        if best.is_file() and read_json(pointer).get("file") != best.name:
            checkpoint.point(self.checkpoints, "best", best, best_step, score)
        elif not checkpoint.pointed(self.checkpoints, "best")[0]:
            pointer.unlink(missing_ok=True)  # the run had no best checkpoint yet

    def status(self, status: str, step: int, epoch: int, reason: str | None = None) -> None:
        """Write status.json: running, completed (early: with the reason), interrupted or failed (with the reason)."""
        values = {"status": status, "reason": reason, "config_hash": self.config_hash, "step": step, "epoch": epoch}
        write_json(self.path / "status.json", values)

    def save(self, step: int, state: Mapping[str, Any], best: bool, score: float | None, keep: int) -> None:
        """Write a checkpoint; last.json names it, and best.json too where it is the `best` so far."""
        length = self.metrics.sync()
        own = {"config": self.config_text, "config_hash": self.config_hash, "metrics_length": length}
        path = checkpoint.save(self.checkpoints, step, {**own, **state})
        if best:
            checkpoint.point(self.checkpoints, "best", path, step, score)
        checkpoint.point(self.checkpoints, "last", path, step, score)
        checkpoint.prune(self.checkpoints, keep)

    def summary(self, values: Mapping[str, Any]) -> None:
        """Write summary.json."""
        write_json(self.path / "summary.json", values)

    def close(self) -> None:
        """Close the files and let go of the lock."""
        self.metrics.close()
        self.timing.close()
        logger.removeHandler(self._handler)
        with contextlib.suppress(OSError):  # a full disk
            self._handler.close()
        self._lock.release()  # the file stays: unlinking it would let two processes hold two locks


class LogFile(logging.FileHandler):
    """A log that a full disk cuts short; the error that ends the run comes from its records or checkpoints instead.

    What a terminal would take for commands is escaped in it: logs are read with cat.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return a message with its time."""
        return printable(super().format(record))

    def handleError(self, record: logging.LogRecord) -> None:
        """Leave the message out."""


def refuse_links(path: Path) -> None:
    """Refuse a run directory in which files that are written in place are links: a stranger's may lead elsewhere.

    Pipes and devices are refused too, because the program would wait for them without end.

    Raises:
        UserError: there are such files; it names them.
    """
    files, folders = (
        (".lock", "metrics.jsonl", "timing.jsonl", "train.log"),
        ("checkpoints", "plots", "profile", "tensorboard"),
    )
    links = [name for name in (*files, *folders) if (path / name).is_symlink()]
    others = [name for name in files if (path / name).exists() and not (path / name).is_file() and name not in links]
    if others:
        raise UserError(
            f"{path} holds what is not a file where a run writes: {', '.join(others)}. Remove it, or give another "
            "hydra.run.dir."
        )
    if links:
        raise UserError(
            f"{path} holds symbolic links where a run writes: {', '.join(links)}. Put the real files in their place, "
            "or give another hydra.run.dir."
        )


@contextlib.contextmanager
def opening(path: Path) -> Iterator[FileLock]:
    """Make the directory `path` where it is missing, and lock it; the lock is released if the block fails.

    Raises:
        UserError: another process works in it, or it cannot be made or written.
    """
    refuse_links(path)
    lock = FileLock(path / ".lock")
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
        yield lock
    except Timeout as error:
        raise Busy(path) from error
    except (OSError, RunFailure) as error:
        lock.release()
        raise UserError(
            f"Cannot make or write the run directory {path}: {str(error).rstrip('.')}. Give one that can be written: "
            "hydra.run.dir=DIR."
        ) from error
    except BaseException:
        lock.release()
        raise


def to_yaml(config: Mapping[str, Any]) -> str:
    """Return a config as YAML, in its own order."""
    return yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True, width=120)


def read_status(path: Path) -> dict[str, Any]:
    """Return status.json of a run directory, empty where there is none."""
    return read_json(path / "status.json")
