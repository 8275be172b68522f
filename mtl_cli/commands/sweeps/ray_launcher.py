"""The jobs of a sweep as tasks of Ray, on this machine or on those of a cluster (hydra/launcher=ray)."""

import math
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType, ModuleType
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from mtl_cli.errors import EXIT_SIGTERM, Interrupted, UserError, not_installed

SAVE_SECONDS = 60.0
"""How long jobs may take to save when their sweep is stopped."""
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DEDUP_LOGS": "0"}
"""Ray tells nobody that it is used, and shows what every job prints."""


class RayLauncher(Launcher):
    """Runs each job of a sweep as a task of Ray, once the CPUs and GPUs that it asks for are free.

    A job works in the folder of the command: the machines of a cluster must have the same files under the same paths. A
    job whose process is gone has failed, and the others go on. Where the sweep is stopped, its jobs save; where it is
    killed, they end at once, and the same command continues them from their last checkpoints.

    Raises:
        UserError: a number or an address that cannot be, or Ray is not installed.
    """

    def __init__(self, address: str | None, num_cpus: int | None, cpus_per_job: float, gpus_per_job: float) -> None:
        numbers = (("num_cpus", num_cpus, 1), ("cpus_per_job", cpus_per_job, 1), ("gpus_per_job", gpus_per_job, 0))
        for name, value, least in numbers:
            if not is_possible(value, least) and (name, value) != ("num_cpus", None):
                raise UserError(f"hydra.launcher.{name} is {value}. Use hydra.launcher.{name}={least} or more.")
        if not isinstance(address, str | None):
            raise UserError(f"hydra.launcher.address is {address}. Use hydra.launcher.address=auto, or HOST:PORT.")
        if address is not None and num_cpus is not None:
            raise UserError("A cluster has its own number of CPUs. Leave out hydra.launcher.num_cpus, or the address.")
        self.address, self.num_cpus = address, num_cpus
        self.cpus, self.gpus = cpus_per_job, gpus_per_job
        self.ray = imported()

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Take what makes a job's config, and what runs it."""
        self._context, self._task, self._config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run the jobs; return what became of them once all have ended."""
        with self._cluster(), ended_by_sigterm():
            remote = self.ray.remote(num_cpus=self.cpus, num_gpus=self.gpus, max_retries=0)(work)
            load = self._context.config_loader.load_sweep_config
            jobs = [remote.remote(self._task, load(self._config, list(words)), os.getcwd()) for words in job_overrides]
            try:
                return [self._ended(job) for job in jobs]
            except KeyboardInterrupt:
                for job in jobs:
                    self.ray.cancel(job)  # as by Ctrl-C
                self.ray.wait(jobs, num_returns=len(jobs), timeout=SAVE_SECONDS)
                raise

    @contextmanager
    def _cluster(self) -> Iterator[None]:
        try:
            self.ray.init(
                self.address or "local", num_cpus=self.num_cpus, include_dashboard=False, logging_level="ERROR"
            )
        except (ConnectionError, ValueError, RuntimeError) as error:
            why = " ".join(str(error).split()) or type(error).__name__
            if self.address is None:
                raise UserError(f"Ray does not start here: {why}") from error
            raise UserError(
                f"No cluster of Ray at {self.address}: {why} Leave hydra.launcher.address out to use this machine."
            ) from error
        try:
            if self.address is None:
                self._refuse_too_few()
            yield
        finally:
            self.ray.shutdown()

    def _refuse_too_few(self) -> None:
        """Refuse jobs that would wait for ever."""
        there = self.ray.cluster_resources()
        for key, kind, wanted in (("cpus_per_job", "CPU", self.cpus), ("gpus_per_job", "GPU", self.gpus)):
            if wanted > (found := there.get(kind, 0)):
                key = f"hydra.launcher.{key}"
                raise UserError(f"{key} is {wanted:g}, and Ray has {found:g} {kind}s here. Use {key}={found:g}.")

    def _ended(self, job: Any) -> JobReturn:  # noqa: ANN401  Ray's promise of a result
        """Return the end of a job; its value is why Ray has no result of it, or None."""
        try:
            return JobReturn(status=JobStatus.COMPLETED, _return_value=self.ray.get(job))
        except self.ray.exceptions.RayError as error:
            return JobReturn(status=JobStatus.COMPLETED, _return_value=cause(error))


def imported() -> ModuleType:
    """Return Ray.

    Raises:
        UserError: it is not installed.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError as error:
        raise not_installed("hydra/launcher=ray hands jobs to Ray", error, "ray") from error
    return ray


def is_possible(value: object, least: int) -> bool:
    """Return whether a value is a number of at least so many."""
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value < math.inf


def work(task: TaskFunction, config: DictConfig, folder: str) -> None:
    """Run a job in a process of Ray."""
    os.chdir(folder)
    task(config)


def cause(error: Exception) -> str:
    """Return why Ray has no result of a job, in a line."""
    inner = getattr(error, "cause", None)
    if inner is not None:
        return f"{type(inner).__name__}: {inner}"
    return f"Its process is gone: {str(error).strip().splitlines()[0]}"


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """Stop a block on SIGTERM as on Ctrl-C; the handler that Ray brings leaves its processes behind.

    Raises:
        Interrupted: there was a SIGTERM.
    """
    stopped = []

    def receive(number: int, frame: FrameType | None) -> None:
        stopped.append(number)
        raise KeyboardInterrupt  # what Ray passes on while it waits

    before = signal.signal(signal.SIGTERM, receive)
    try:
        yield
    except KeyboardInterrupt as error:
        if not stopped:
            raise
        raise Interrupted(EXIT_SIGTERM, "SIGTERM") from error
    finally:
        signal.signal(signal.SIGTERM, before)
