"""What becomes of a run whose numbers stop being finite: it names the rows, and stops or goes back."""

import dataclasses
import logging
from typing import Any

from mtl_cli.errors import RunFailure, UserError
from mtl_cli.files import write_json
from mtl_cli.report.progress import Progressbar
from mtl_cli.storage import checkpoint
from mtl_cli.storage.directory import RunDirectory
from mtl_cli.training import trainer
from mtl_cli.training.bad_rows import bad_rows, describe
from mtl_cli.training.job import ROLLBACK_FACTOR, Job
from mtl_cli.training.signals import StopRequest
from mtl_cli.training.window import NotFinite

logger = logging.getLogger("mtl_cli")
MAX_ROLLBACKS = 5
"""Times that a run goes back to a checkpoint before it fails."""


def train_with_rollback(job: Job, out: RunDirectory, stop: StopRequest, bar: Progressbar) -> None:
    """Train to the end of the plan, going back to the last checkpoint where `trainer.on_nonfinite` says so.

    Raises:
        Interrupted: `stop` was set; everything is saved.
        RunFailure: a loss, gradient or weight is not finite, or a file cannot be written.
    """
    ranks = job.learner.ranks
    if job.plan.on_nonfinite == "rollback" and not ranks.tell(lambda: any(out.checkpoints.glob("step_*.pt"))):
        trainer.save(job, out, best=False)  # so that there is something to go back to
    while True:
        try:
            trainer.train_job(job, out, stop, bar)
            return
        except NotFinite as error:
            problem, data_is_bad = located(job, out, error)
            if job.plan.on_nonfinite != "rollback":
                raise problem from error
            if data_is_bad:
                raise RunFailure(f"{problem} Going back would not help: the same rows come again.") from error
            if job.progress.rollbacks >= MAX_ROLLBACKS:
                raise RunFailure(f"{problem} The run went back {MAX_ROLLBACKS} times already.") from error
            roll_back(job, out, problem)
            bar.back(job.progress.step, job.progress.samples)


def located(job: Job, out: RunDirectory, error: NotFinite) -> tuple[NotFinite, bool]:
    """Return the error with the rows of its step, and whether they are the cause; all rows go to nonfinite.json."""
    found = bad_rows(job.train, error.draws, job.plan.micro_batches)
    rows = {dataset: dataclasses.asdict(each) for dataset, each in found.items()}
    if job.learner.ranks.is_first:
        write_json(out.path / "nonfinite.json", {"what": error.what, "step": error.step, "datasets": rows})
    problem = NotFinite(error.what, error.step, error.draws, describe(found))
    return problem, any(each.is_cause for each in found.values())


def roll_back(job: Job, out: RunDirectory, problem: NotFinite) -> None:
    """Load the last checkpoint, halve the learning rate, and save that: a run that is killed here goes on from it.

    Raises:
        RunFailure: the checkpoint cannot be loaded.
    """
    count = job.progress.rollbacks + 1

    def newest_state() -> dict[str, Any]:
        try:
            newest = checkpoint.newest_good(out.checkpoints)
        except UserError as error:
            raise RunFailure(f"{problem} It cannot go back: {error}") from error
        for passed_over in newest.problems:
            logger.warning("%s", passed_over)
        return dict(newest.state)

    state = job.learner.ranks.tell(newest_state)
    job.load(state)
    job.progress.rollbacks = count
    factor = ROLLBACK_FACTOR**count
    step = job.progress.step
    out.metrics.cut(state["metrics_length"])
    out.metrics.write(
        {"kind": "rollback", "step": step, "from_step": problem.step, "reason": problem.what, "lr_factor": factor}
    )
    logger.warning("%s\nBack to step %d, learning rate × %g (%d of %d).", problem, step, factor, count, MAX_ROLLBACKS)
    trainer.save(job, out, best=False)
