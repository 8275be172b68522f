"""Training: one explicit loop."""

import logging
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mtl_cli.errors import Interrupted, Pruned
from mtl_cli.report.progress import Progressbar
from mtl_cli.report.tables import evaluation_table
from mtl_cli.storage.directory import RunDirectory
from mtl_cli.training.clock import Clock
from mtl_cli.training.evaluate import flat
from mtl_cli.training.group_means import to_show
from mtl_cli.training.job import ROLLBACK_FACTOR, Job
from mtl_cli.training.loss_scale import unscale
from mtl_cli.training.news import News, Stop
from mtl_cli.training.next_step import first_draws, next_step
from mtl_cli.training.resting import take_step
from mtl_cli.training.selection import (
    count_patience,
    decides,
    evaluate_validation,
    is_best,
    lower_is_better,
    score_of,
    stopped_early,
    why_stopped,
)
from mtl_cli.training.signals import StopRequest
from mtl_cli.training.skipping import Before, skip
from mtl_cli.training.step import TrainStep
from mtl_cli.training.window import NotFinite, all_finite, total_norm

logger = logging.getLogger("mtl_cli")


def train_job(job: Job, out: RunDirectory, stop: StopRequest, bar: Progressbar) -> None:
    """Train to the end of the plan, writing records and checkpoints to `out`.

    Raises:
        Interrupted: `stop` was set; everything is saved.
        Pruned: the judge said so; everything is saved.
        NotFinite: a loss, gradient or weight is not finite.
        RunFailure: a file cannot be written.
    """
    progress, plan, spans, clock = job.progress, job.plan, job.learner.spans, Clock(job)
    job.learner.model.train()
    judged(job)  # a run that was killed may have saved its last evaluation and not told it
    news = job.news = News(job.learner.ranks, stop)
    while progress.step < job.total_steps and not stopped_early(job):
        if news.stop is not None:
            clock.count()  # before the checkpoint, which holds it
            interrupt(job, out, news.stop)
        with spans.data:
            news.wishes_to_save = minutes_over(job, clock)
            step = next_step(job)
        with job.learner.strategy.exchanging():
            update = train_step(job, step)
        progress.step += 1
        job.learner.ranks.watch.stepped()
        with spans.records:
            bar.advance(progress.samples)
        if step.logging:
            with spans.wait:
                job.learner.arithmetic.synchronize()
            with spans.records:
                bar.show(log(job, out, step, update))
        if progress.step % job.schedule.steps_per_epoch == 0:
            job.weighting.after_epoch()
        if evaluation_due(job):
            clock.count()
            assess(job, out)
            clock.resume(out, progress)
        elif save_due(job, clock, news):
            clock.count()
            with spans.checkpoints:
                save(job, out, best=False)
        with spans.profiler:
            job.profiler.step_done()
    clock.count()
    job.window.check()
    if reason := why_stopped(job):
        logger.info("%s.", reason)
    logger.debug("trained %d steps, plan %s", progress.step, plan)


@dataclass(frozen=True)
class Update:
    """What one optimizer step used: weights by task, the gradient's norm before clipping, the learning rate."""

    weights: dict[str, Tensor]
    norm: Tensor | None
    lr: float


def train_step(job: Job, step: TrainStep) -> Update:
    """Take one optimizer step: gradients, regulariser, check, clipping, update, average."""
    lr = set_learning_rate(job)
    if not step.tasks and not job.weighting.steps_without_labels:
        return Update({}, None, lr)
    job.learner.model.sharing.start_step(step.seed, step.index, step.index / job.total_steps)
    clear_gradients(job)
    before = Before(job) if job.plan.on_nonfinite == "skip" else None
    spans = job.learner.spans
    with spans.balance:
        weights = job.weighting.backward(step)
        overflowed = unscale(job, step)
        step.finish()
    if overflowed:
        return Update({}, None, lr)
    if before is not None and skip(job, step):
        before.restore()
        return Update({}, None, lr)
    with spans.update:
        norm = gradient_norm(job)
        job.window.add(step.index, step.losses, norm, first_draws(job, step))
        take_step(job.optimizer, job.learner.model, step.labels.absent_rows)
    with spans.balance:
        job.weighting.after_step(step)
    if job.ema is not None:
        with spans.update:
            job.ema.update()
    return Update(weights, norm, lr)


def clear_gradients(job: Job) -> None:
    """Drop all gradients: 5 µs for 68 parameters, where the optimizer's own method takes 20 µs."""
    for group in job.optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = None


def set_learning_rate(job: Job) -> float:
    """Set the scheduled learning rate of the model's parameters and return it; the weighting's own stays."""
    groups = job.optimizer.param_groups[: job.num_scheduled]
    factor = job.lr_schedule.factor(job.progress.step, job.total_steps) * ROLLBACK_FACTOR**job.progress.rollbacks
    for group in groups:
        group["lr"] = group["base_lr"] * factor
    return groups[0]["lr"]


def gradient_norm(job: Job) -> Tensor | None:
    """Return the norm of the model's gradient, which is clipped to `trainer.clip_norm`; not read, so no sync."""
    gradients = job.gradients()
    if not gradients:
        return None
    norm = job.learner.strategy.over_all(total_norm(gradients))
    if job.plan.clip_norm is not None:
        torch._foreach_mul_(gradients, (job.plan.clip_norm / (norm + 1e-6)).clamp(max=1.0))
    return norm


def log(job: Job, out: RunDirectory, step: TrainStep, update: Update) -> dict[str, float]:
    """Write a training record and return the mean losses since the last one; the only device sync of its steps."""
    job.window.check()
    losses = job.window.means()
    declared, weights = job.learner.tasks, update.weights
    used = torch.stack(list(weights.values())).tolist() if weights else []
    record: dict[str, Any] = {
        "kind": "train",
        "step": job.progress.step,
        "epoch": round(job.progress.step / job.schedule.steps_per_epoch, 6),
        "lr": update.lr,
        "losses": losses,
        "weights": {task: value * declared[task].weight for task, value in zip(weights, used, strict=True)},
    }
    if update.norm is not None:
        record["grad_norm"] = float(update.norm)
    if step.notes:
        record["notes"] = {name: float(value) for name, value in step.notes.items()}
    out.metrics.write(record)
    return losses


def evaluation_due(job: Job) -> bool:
    """True at the end of every `eval_every` epochs and of the run."""
    period = job.plan.eval_every * job.schedule.steps_per_epoch
    return job.progress.step % period == 0 or job.progress.step == job.total_steps


def minutes_over(job: Job, clock: Clock) -> bool:
    """True where the minutes between checkpoints are over by the clock of this process."""
    minutes = job.plan.save_every_minutes
    return minutes is not None and clock.since_save() > 60 * minutes


def save_due(job: Job, clock: Clock, news: News) -> bool:
    """True where the steps or the minutes between checkpoints are over, the latter by the first rank's clock."""
    by_steps = job.plan.save_every is not None and job.progress.step % job.plan.save_every == 0
    by_time = minutes_over(job, clock) if job.learner.ranks.alone else news.save_wanted
    if by_steps or by_time:
        clock.saved()
        return True
    return False


def assess(job: Job, out: RunDirectory) -> None:
    """Evaluate on validation data, keep the best, count towards early stopping, and save."""
    progress = job.progress
    results = evaluate_validation(job)
    values = flat(results)
    score = score_of(job, job.plan.selection, results)
    better = is_best(job, score, values)
    progress.last_val = values
    if better:
        progress.best_score, progress.best_step, progress.best_val = score, progress.step, values
    count_patience(job, results, score)
    progress.selected_by = decides(job, job.plan.selection)
    shown = -score if lower_is_better(job, progress.selected_by) else score
    record = {"kind": "eval", "split": "val", "step": progress.step, "epoch": job.epoch, "selection": shown}
    out.metrics.write({**record, "metrics": values})
    told = to_show(results, job.groups, job.tasks)
    logger.info("%s", evaluation_table(f"val, step {progress.step}", told, shown, better))
    progress.last_eval, progress.last_score = progress.step, score
    save(job, out, best=better)
    judged(job)


def judged(job: Job) -> None:
    """Tell the judge, where there is one, the last evaluation.

    Raises:
        Pruned: it says that the run should stop, and there is something left to do.
    """
    progress = job.progress
    if job.judge is None or progress.last_score is None:
        return
    judge, epoch, score = job.judge, progress.last_eval // job.schedule.steps_per_epoch, progress.last_score
    reason = job.learner.ranks.tell(lambda: judge(epoch, score))
    if reason is not None and progress.step < job.total_steps:
        raise Pruned(reason)


def save(job: Job, out: RunDirectory, best: bool) -> None:
    """Write a checkpoint, unless a loss since the last log, or a weight, is not finite.

    Raises:
        NotFinite: something is not finite; the checkpoints before are untouched.
    """
    job.window.check()
    strategy = job.learner.strategy
    if not strategy.on_all(all_finite(strategy.own([parameter.detach() for parameter in job.learner.trained]))):
        raise NotFinite("A weight is not finite after the update", job.progress.step - 1, {})
    out.save(job.progress.step, job.state(), best, job.progress.best_score, job.plan.keep)
    out.status("running", job.progress.step, job.epoch)


def interrupt(job: Job, out: RunDirectory, stop: Stop) -> None:
    """Save and stop.

    Raises:
        Interrupted: always, with the signal's exit code.
    """
    save(job, out, best=False)
    out.status("interrupted", job.progress.step, job.epoch, stop.name)
    raise Interrupted(stop.code, f"Stopped by {stop.name} after step {job.progress.step}.")
