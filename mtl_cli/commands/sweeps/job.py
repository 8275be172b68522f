"""One job of a sweep: whether its run is complete, and running, continuing or starting it again."""

import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from mtl_cli.commands.sweeps.table import ELSEWHERE, SweepRow, row
from mtl_cli.config.run_config import caches
from mtl_cli.errors import Busy, Interrupted, Pruned, RunFailure, UserError
from mtl_cli.files import read_json

if TYPE_CHECKING:
    from mtl_cli.training.job import Judge

logger = logging.getLogger("mtl_cli")


@dataclass(frozen=True)
class SweepJob:
    """One run of a sweep: the hash of its config is its name, and the last part of its directory."""

    name: str
    config: dict[str, Any]
    directory: Path
    overrides: tuple[str, ...]
    swept: dict[str, str]

    @property
    def completed(self) -> bool:
        """True where the run of this very config is complete."""
        status = read_json(self.directory / "status.json")
        return status.get("status") == "completed" and status.get("config_hash") == self.name

    @property
    def title(self) -> str:
        """The values that set this job apart."""
        return " ".join(f"{key}={value}" for key, value in self.swept.items()) or "the only job"

    def row(self, failure: str = "") -> SweepRow:
        """Return what the directory says about the job."""
        return row(self.directory, self.swept, failure)


def attempt(job: SweepJob, command: Sequence[str], folders: Sequence[Path], judge: "Judge | None" = None) -> str:
    """Run or continue one job; return why it failed, that it runs elsewhere, or an empty string.

    A job that its judge stops has not failed; its status says what became of it.
    """
    try:
        run_job(job, command, folders, judge)
    except Pruned:
        return ""
    except Busy:
        return ELSEWHERE
    except (UserError, RunFailure) as error:
        return str(error)
    except Interrupted:
        raise
    except Exception as error:
        logger.debug("Traceback of the job:", exc_info=True)
        return f"{type(error).__name__}: {error}"
    return ""


def run_job(job: SweepJob, command: Sequence[str], folders: Sequence[Path], judge: "Judge | None" = None) -> None:
    """Continue a job from its newest good checkpoint, or start it afresh where it has none."""
    from mtl_cli.runs import run

    checkpoints = job.directory / "checkpoints"
    if (checkpoints / "last.json").is_file() or any(checkpoints.glob("step_*.pt")):
        same = {key: job.config[key] for key in ("trust", "debug", "verbose", "quiet", "logger")}
        run.resume(job.directory, {**same, **caches(job.config)}, command, folders, judge)
        return
    if job.directory.exists():
        remove(job.directory)
    run.train(job.config, job.directory, command, folders, judge)


def remove(directory: Path) -> None:
    """Remove the directory of a job that had not saved anything.

    Raises:
        UserError: another process works in it, or it cannot be removed.
    """
    try:
        with FileLock(directory / ".lock", timeout=0):
            shutil.rmtree(directory)
    except Timeout as error:
        raise Busy(directory) from error
    except OSError as error:
        raise UserError(f"Cannot remove {directory}: {error}. Remove it yourself.") from error
