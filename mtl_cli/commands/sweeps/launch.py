"""A sweep whose jobs run where a Hydra launcher puts them, such as in other processes (hydra/launcher=joblib)."""

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
from mtl_cli.errors import Interrupted
from mtl_cli.files import read_json, write_json

INDEX = "sweep_job"
"""A key that is added to each job's config to tell its worker which job it is."""


@dataclass(frozen=True)
class Worker:
    """Runs one job of a sweep in another process; made in the parent and sent there, with the checked configs."""

    jobs: tuple[SweepJob, ...]
    command: tuple[str, ...]
    folders: tuple[Path, ...]
    failures: Path

    def __call__(self, config: DictConfig) -> None:
        """Run the job that the config names; what went wrong is left in a file for the parent."""
        job = self.jobs[int(config[INDEX])]
        for folder in self.folders:
            add_to_path(folder)
        with console(job.config["verbose"], job.config["quiet"]):
            try:
                failure = attempt(job, self.command, self.folders)
            except (Interrupted, KeyboardInterrupt):
                return
        if failure:
            self.failures.mkdir(parents=True, exist_ok=True)
            write_json(self.failures / f"{job.name}.json", {"failure": failure})


def run_elsewhere(directory: Path, every: Sequence[SweepJob], line: CommandLine, failures: dict[str, str]) -> None:
    """Run the incomplete jobs through Hydra's launcher, noting failures by name."""
    folder = directory / ".failures"
    jobs = tuple(job for job in every if not job.completed)
    if not jobs:
        return
    worker = Worker(jobs, tuple(line.command), tuple(path.absolute() for path in line.folders), folder.absolute())
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
