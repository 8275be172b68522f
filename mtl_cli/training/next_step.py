"""The step that comes next: batches of every dataset whose tasks take part, and the labels in them."""

from collections.abc import Collection, Mapping
from dataclasses import replace

from mtl_cli.batch import Batch
from mtl_cli.ranks.ranks import Ranks
from mtl_cli.training.job import Job
from mtl_cli.training.label_counts import Counts
from mtl_cli.training.news import News, exchanged
from mtl_cli.training.step import TrainStep


def next_step(job: Job) -> TrainStep:
    """Draw the batches of the next step: micro-batches of every dataset whose tasks take part.

    Of the micro-batches of a step this rank draws every k-th, `accumulate` of them. The ranks tell each other how many
    labels they have, and the news: signals, and whether the first one wants to save.
    """
    progress, plan, ranks = job.progress, job.plan, job.learner.ranks
    names = job.schedule.tasks(progress.step)
    everything = len(names) == len(job.learner.names)
    parts, own = job.weighting.num_draws, range(ranks.rank, plan.micro_batches, ranks.size)
    batches: list[list[dict[str, Batch]]] = [[{} for _ in own] for _ in range(parts or 1)]
    rows = 0
    for dataset, stream in job.train.items():
        if not everything and not any(name in stream.targets for name in names):
            continue
        start = progress.draws.get(dataset, 0)
        progress.draws[dataset] = start + plan.micro_batches
        for number, micro in enumerate(own):
            for part, batch in enumerate(stream.batches(start + micro, parts)):
                if part == len(batches):  # a part for each row
                    batches.append([{} for _ in own])
                batches[part][number][dataset] = batch if everything else only(batch, set(names))
                rows += batch.rows
    counts: list[list[Counts]] = [
        [{dataset: labels_of(batch, ranks) for dataset, batch in each.items()} for each in part] for part in batches
    ]
    if not ranks.alone:
        asked = {dataset: [task for task in job.train[dataset].targets if task in names] for dataset in batches[0][0]}
        rows, counts = exchanged(ranks, rows, counts, asked, job.news or News(ranks))
    progress.samples += rows
    last = progress.step + 1 == job.total_steps
    logging_due = (progress.step + 1) % plan.log_every == 0 or last
    scale = progress.loss_scale if job.learner.arithmetic.fp16 else 1.0
    return TrainStep(job.learner, progress.step, batches, logging_due, counts, scale)


def labels_of(batch: Batch, ranks: Ranks) -> Mapping[str, int]:
    """Return the labels in a batch by task; those of stacks are there where ranks must tell each other."""
    return batch.counts if ranks.alone else batch.all_counts


def only(batch: Batch, tasks: Collection[str]) -> Batch:
    """Return the batch with the targets of the given tasks."""
    stacks = {key: target.only(tasks) for key, target in batch.stacks.items()}
    targets = {task: target for task, target in batch.targets.items() if task in tasks}
    return replace(
        batch,
        targets=targets,
        counts={task: batch.counts[task] for task in targets},
        stacks={key: target for key, target in stacks.items() if target.present},
    )


def first_draws(job: Job, step: TrainStep) -> dict[str, int]:
    """Return the first draw of a step by dataset."""
    return {dataset: job.progress.draws[dataset] - job.plan.micro_batches for dataset in step.datasets}
