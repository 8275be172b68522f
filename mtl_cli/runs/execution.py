"""What is built is run: training, then the summary, under a status that is true whatever happens."""

import contextlib
import logging
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mtl_cli.config.run_config import Config, targets_in
from mtl_cli.errors import Interrupted, Pruned, RunFailure, exhausted, smaller_parts
from mtl_cli.files import write_json
from mtl_cli.report.profile import StepProfiler
from mtl_cli.report.progress import Progressbar
from mtl_cli.runs.build import Built
from mtl_cli.runs.outcome import finish, print_head
from mtl_cli.storage.directory import RunDirectory
from mtl_cli.training.job import Job
from mtl_cli.training.recovery import train_with_rollback
from mtl_cli.training.selection import why_stopped
from mtl_cli.training.signals import stop_requests

logger = logging.getLogger("mtl_cli")


def execute(
    built: Built, out: RunDirectory, config: Config, again: str, surroundings: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Train, test the best checkpoint, and write summary and figures; return the summary.

    `again` is the command that continues the run, printed where it is interrupted; `surroundings` go to
    environment.json.
    """
    job, ranks = built.job, built.job.learner.ranks
    with true_status(job, out, config, again):
        if surroundings is not None:
            write_json(out.path / "environment.json", surroundings)
        if ranks.is_first:
            print_head(built, out.path)
        job.learner.strategy.agree(job.learner.model)
        out.status("running", job.progress.step, job.epoch)
        if config["trainer"]["profile"] and ranks.is_first:
            job.profiler = profiler_of(job, out.path / "profile")
        with stop_requests() as stop:
            bar = Progressbar(job.total_steps, job.progress.step, job.progress.samples, config["quiet"])
            try:
                train_with_rollback(job, out, stop, bar)
            finally:
                bar.close()
                job.profiler.close()
            summary = finish(built, out)
        out.status("completed", job.progress.step, job.epoch, why_stopped(job))
        return summary


def profiler_of(job: Job, folder: Path) -> StepProfiler:
    """Return a profiler of some steps of a job, which writes into a folder."""
    learner = job.learner
    sent = None if learner.ranks.alone else lambda: (learner.ranks.sent, learner.ranks.messages)
    return StepProfiler(learner.spans, folder, learner.arithmetic.device.type == "cuda", sent)


@contextlib.contextmanager
def true_status(job: Job, out: RunDirectory, config: Config, again: str) -> Iterator[None]:
    """Keep status.json true where a block ends early, and close what the job has open at its end.

    Raises:
        RunFailure: memory, or another resource of the machine, is exhausted.
    """
    progress = job.progress
    try:
        yield
    except Interrupted as interrupted:
        logger.warning("%s Continue with:\n  %s", interrupted, again)
        raise
    except Pruned as pruned:
        out.status("pruned", progress.step, job.epoch, str(pruned))
        logger.info("Pruned after step %d of %d: %s", progress.step, job.total_steps, pruned)
        raise
    except BaseException as error:
        status = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        with contextlib.suppress(RunFailure):  # a full disk must not hide what went wrong first
            out.status(status, progress.step, job.epoch, str(error) or type(error).__name__)
        where = f" on {job.learner.arithmetic.device} at step {progress.step}"
        smaller = smaller_parts(config["data"]["batch_size"], config["trainer"]["accumulate"])
        if told := exhausted(error, where, smaller):
            raise RunFailure(told) from error
        raise
    finally:
        job.close()
        out.close()


def resume_command(directory: Path, config: Config, command: Sequence[str]) -> str:
    """Return the command that continues a run, with what it needs to find and trust classes of the user's own."""
    words = ["mtl-train", f"resume={directory}"]
    modules = {str(target).partition(".")[0] for target in targets_in(config)} - {"mtl_cli", "torch"}
    if modules:
        words.append(f"trust=[{','.join(sorted(modules))}]")
    for index, word in enumerate(command):
        if word == "--config-dir" and index + 1 < len(command):
            words += ["--config-dir", command[index + 1]]
        elif word.startswith("--config-dir="):
            words.append(word)
    return shlex.join(words)
