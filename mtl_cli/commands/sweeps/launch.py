"""A sweep whose jobs run where a Hydra launcher puts them, such as in other processes (hydra/launcher=joblib)."""

import os
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from mtl_cli.commands.command_line import CommandLine
from mtl_cli.commands.console import console
from mtl_cli.commands.hydra_commands import call_hydra
from mtl_cli.commands.import_path import add_to_path
from mtl_cli.commands.overrides import quoted
from mtl_cli.commands.sweeps.job import SweepJob, attempt
from mtl_cli.errors import EXIT_SIGTERM, Interrupted
from mtl_cli.files import read_json, write_json

POLL_SECONDS, GRACE_SECONDS = 1.0, 60.0
"""How often a worker looks whether its parent lives, and how long its run may take to save."""
_watched: set[int] = set()
INDEX = "sweep_job"
"""A key that is added to each job's config to tell its worker which job it is."""


@dataclass(frozen=True)
class Worker:
    """Runs one job of a sweep in another process; made in the parent and sent there, with the checked configs."""

    jobs: tuple[SweepJob, ...]
    command: tuple[str, ...]
    folders: tuple[Path, ...]
    failures: Path
    parent: int
    """Process of the sweep."""

    def __call__(self, config: DictConfig) -> None:
        """Run the job that the config names; what went wrong is left in a file for the parent."""
        job = self.jobs[int(config[INDEX])]
        end_with(self.parent)
        for folder in self.folders:
            add_to_path(folder)
        with console(job.config["verbose"], job.config["quiet"]):
            try:
                failure = attempt(job, self.command, self.folders)
            except (Interrupted, KeyboardInterrupt):
                if self.parent in _watched and os.getppid() != self.parent:
                    os._exit(EXIT_SIGTERM)  # saved; nobody is there to give it another job
                return
        if failure:
            self.failures.mkdir(parents=True, exist_ok=True)
            write_json(self.failures / f"{job.name}.json", {"failure": failure})


def end_with(parent: int) -> None:
    """Let this process end when `parent`, which started it, is gone: as on SIGTERM, so that its run is saved first.

    Jobs that were handed to a queue of their own, on this machine or another, have another parent and stay.
    """
    if os.getppid() != parent or parent in _watched:
        return
    _watched.add(parent)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(POLL_SECONDS)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(GRACE_SECONDS)
        os._exit(EXIT_SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def run_elsewhere(directory: Path, every: Sequence[SweepJob], line: CommandLine, failures: dict[str, str]) -> None:
    """Run the incomplete jobs through Hydra's launcher, noting failures by name."""
    folder = directory / ".failures"
    jobs = tuple(job for job in every if not job.completed)
    if not jobs:
        return
    worker = Worker(
        jobs, tuple(line.command), tuple(path.absolute() for path in line.folders), folder.absolute(), os.getpid()
    )
    numbers = ",".join(str(index) for index in range(len(jobs)))
    own = [f"+{INDEX}={numbers}", quoted(f"hydra.sweep.dir={directory}"), "hydra.sweep.subdir=."]
    kept = [text for text in jobs[0].overrides if not text.startswith("hydra.sweep.")]
    try:
        call_hydra(line, ["--multirun", *kept, *own], worker)
    finally:
        failures.update(collect(folder))
        (directory / "multirun.yaml").unlink(missing_ok=True)


def collect(folder: Path) -> Mapping[str, str]:
    """Return what the workers left about failures, by job, and remove it."""
    found = {}
    for path in sorted(folder.glob("*.json")):
        found[path.stem] = str(read_json(path).get("failure", ""))
        path.unlink()
    if folder.is_dir():
        folder.rmdir()
    return found
