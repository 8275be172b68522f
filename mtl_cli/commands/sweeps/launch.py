"""A sweep whose jobs run where a Hydra launcher puts them, such as in other processes (hydra/launcher=joblib)."""

import copy
import os
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from hydra._internal.callbacks import Callbacks
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf, open_dict

from mtl_cli.commands.command_line import CommandLine
from mtl_cli.commands.console import console_of, results_of_runs
from mtl_cli.commands.hydra_commands import as_process
from mtl_cli.commands.import_path import add_to_path
from mtl_cli.commands.sweeps.job import SweepJob, attempt
from mtl_cli.commands.sweeps.progress import counted
from mtl_cli.commands.sweeps.ray_launcher import RayLauncher
from mtl_cli.errors import EXIT_SIGTERM, Interrupted, UserError
from mtl_cli.files import read_json, write_json
from mtl_cli.ranks.place import place_of

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
        place = place_of()
        if place is not None and not place.is_first:  # the launcher has started several processes for one run
            from mtl_cli.runs.follow import follow

            follow(place)
            return
        with console_of(job.config):
            try:
                with results_of_runs(shown=not job.config["quiet"]):
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


@dataclass(frozen=True)
class Composed:
    """Gives a launcher the config of each job: one that is composed once, with the number of the job.

    All that a launcher needs of it is the `hydra` node, which the jobs of a sweep have in common. Composing takes
    longer than the start of a small run.
    """

    config: DictConfig

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        """Return the config of the job whose number is the one override."""
        config = copy.deepcopy(self.config)
        OmegaConf.set_readonly(config, False)
        with open_dict(config):
            config[INDEX] = int(sweep_overrides[0].partition("=")[2])
        return config


def run_elsewhere(
    directory: Path, every: Sequence[SweepJob], line: CommandLine, composed: DictConfig, failures: dict[str, str]
) -> None:
    """Run the incomplete jobs through Hydra's launcher, noting failures by name; `composed` is the config of one."""
    folder = directory / ".failures"
    jobs = tuple(job for job in every if not job.completed)
    if not jobs:
        return
    worker = Worker(
        jobs, tuple(line.command), tuple(path.absolute() for path in line.folders), folder.absolute(), os.getpid()
    )
    config = launcher_config(composed, directory)
    refuse_other_numbers(jobs, config)
    launcher = launcher_of(config)
    context = HydraContext(config_loader=cast(Any, Composed(config)), callbacks=Callbacks())
    try:
        with as_process([line.program]), counted(len(every), lambda: sum(job.completed for job in every)):
            launcher.setup(hydra_context=context, task_function=worker, config=config)
            words = [[f"{INDEX}={number}"] for number in range(len(jobs))]
            for job, done in zip(jobs, launcher.launch(words, initial_job_idx=0), strict=True):
                if lost := done.return_value:  # raises what went wrong outside the run
                    failures[job.name] = str(lost)
    finally:
        HydraConfig.instance().cfg = None
        failures.update(collect(folder))


def launcher_of(config: DictConfig) -> Launcher:
    """Return the launcher that a config names: the one for Ray, which is ours, or a plugin of Hydra's."""
    node = cast(dict[str, Any], OmegaConf.to_container(config.hydra.launcher, resolve=True))
    if node["_target_"] == f"{RayLauncher.__module__}.{RayLauncher.__qualname__}":
        return RayLauncher(**{key: value for key, value in node.items() if key != "_target_"})
    return cast(Launcher, Plugins.instance()._instantiate(config.hydra.launcher))


def refuse_other_numbers(jobs: Sequence[SweepJob], config: DictConfig) -> None:
    """Refuse a launcher that starts several processes per job, but not as many as a run has.

    Raises:
        UserError: there is such a job.
    """
    launcher = config.hydra.launcher
    started = int(launcher.get("tasks_per_node") or 1) * int(launcher.get("nodes") or 1)
    devices = {int(job.config["trainer"]["devices"]) for job in jobs} - {started}
    if started > 1 and devices:
        raise UserError(
            f"hydra.launcher starts {started} processes per job (nodes × tasks_per_node), and trainer.devices is "
            f"{min(devices)}. Use trainer.devices={started}."
        )


def launcher_config(composed: DictConfig, directory: Path) -> DictConfig:
    """Return the `hydra` node of a composed config as launchers want it, all jobs in one directory."""
    config = copy.deepcopy(composed)
    OmegaConf.set_readonly(config, False)
    kept = OmegaConf.create({"hydra": config.hydra}, flags={"allow_objects": True})
    OmegaConf.set_readonly(kept.hydra, False)
    with open_dict(kept):
        kept.hydra.sweep.dir, kept.hydra.sweep.subdir = str(directory), "."
        kept.hydra.job.num, kept.hydra.job.id = 0, "0"
    return kept


def collect(folder: Path) -> Mapping[str, str]:
    """Return what the workers left about failures, by job, and remove it."""
    found = {}
    for path in sorted(folder.glob("*.json")):
        found[path.stem] = str(read_json(path).get("failure", ""))
        path.unlink()
    if folder.is_dir():
        folder.rmdir()
    return found
