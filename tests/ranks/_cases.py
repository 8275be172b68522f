"""What the ranks of a pool run together; each function takes the ranks and plain arguments."""

import dataclasses
from typing import Any

import torch
from torch import Tensor

from mtl_cli.config.interpolation import resolve
from mtl_cli.config.run_config import checked
from mtl_cli.config.targets import Trust
from mtl_cli.ranks.ranks import Ranks
from mtl_cli.runs.build import build
from mtl_cli.training.job import Job
from mtl_cli.training.next_step import next_step
from mtl_cli.training.selection import evaluate_split
from mtl_cli.training.trainer import train_step
from tests import _toy
from tests.runs import _stacks
from tests.weightings._inputs import config as weighting_config


def make(
    ranks: Ranks, method: str, sharing: str, overrides: dict[str, Any], micro: int, changes: dict[str, Any]
) -> Job:
    """Return a job in which all ranks together take `micro` micro-batches in a step."""
    first = next(iter(changes.get("tasks", {"quadrant": None})))
    settings = {"trainer__log_every": 2, "trainer__clip_norm": 1.0, "ema__decay": 0.9, **changes}
    config = _toy.config(
        weighting={**weighting_config(method, first), **overrides},
        sharing=_toy.option("sharing", sharing),
        trainer__devices=ranks.size,
        trainer__accumulate=micro // ranks.size,
        **settings,
    )
    return build(resolve(config), Trust(("tests",)), ranks=ranks).job


def steps(
    ranks: Ranks,
    method: str = "fixed",
    sharing: str = "hard",
    overrides: dict[str, Any] | None = None,
    micro: int = 2,
    number: int = 3,
    **changes: Any,
) -> dict[str, Any]:
    """Take steps of a run on toy data; return what `taken` does."""
    return taken(ranks, make(ranks, method, sharing, overrides or {}, micro, changes), number)


def taken(ranks: Ranks, job: Job, number: int) -> dict[str, Any]:
    """Take steps; return all that a checkpoint holds, flat, and what was logged, once the ranks agree on it."""
    logged = []
    for _ in range(number):
        step = next_step(job)
        update = train_step(job, step)
        job.progress.step += 1
        if job.progress.step % job.schedule.steps_per_epoch == 0:
            job.weighting.after_epoch()
        logged.append({"losses": step.losses, "weights": update.weights, "norm": update.norm})
    found = dict(flat({"job": job.state(), "logged": logged}))
    own = ("/job/progress/window/losses",)  # each rank has the losses in the order in which it sees the tasks
    if not job.learner.strategy.is_divided:  # then the first rank alone has what the others hold too
        ranks.agree(
            {name: value for name, value in found.items() if isinstance(value, Tensor) and name not in own}, "state"
        )
    for stream in job.train.values():
        stream.close()
    return found


def sent(ranks: Ranks, method: str = "fixed", overrides: dict[str, Any] | None = None) -> dict[str, int]:
    """Return the bytes and messages of a step, and the numbers of parameters and tasks that they depend on."""
    job = make(ranks, method, "hard", overrides or {}, ranks.size, {})
    step, before = next_step(job), ranks.messages
    start, told = ranks.sent, []
    train_step(job, step)
    shared = sum(parameter.numel() for parameter in job.learner.partition.shared)
    told += [ranks.sent - start, ranks.messages - before]
    total = sum(parameter.numel() for parameter in job.learner.trained)
    return {"bytes": told[0], "messages": told[1], "total": total, "shared": shared, "tasks": len(job.tasks)}


def many(ranks: Ranks, path: str, overrides: list[str], micro: int = 2, number: int = 4) -> dict[str, Any]:
    """Take steps on tasks that are computed as one, and evaluate; return the state, losses and results."""
    taken = [f"trainer.devices={ranks.size}", f"trainer.accumulate={micro // ranks.size}"]
    config = _stacks.config_of(["trainer.precision=fp32", "data.batch_size=6", *taken, *overrides])
    classes = "mtl_cli.tasks.classification.Classification"
    config["tasks"]["apart"] = {
        **config["tasks"]["numbers"],
        "_target_": classes,
        "target": "c",
        "label_smoothing": 0.0,
    }
    del config["tasks"]["apart"]["targets"]
    for node in config["tasks"].values():
        node["dataset"] = {**node["dataset"], "path": path}
    job = build(checked(config), Trust(), ranks=ranks).job
    assert len(job.learner.model.stacks) == 2
    logged = []
    for _ in range(number):
        step = next_step(job)
        update = train_step(job, step)
        job.progress.step += 1
        logged.append({"losses": dict(step.losses), "norm": update.norm, "absent": len(step.labels.absent_rows)})
    results = {name: list(each.values.values()) for name, each in evaluate_split(job, job.val).items()}
    found = dict(flat({"job": job.state(), "logged": logged}))
    found |= {name: torch.tensor(values).nan_to_num(-9.0) for name, values in results.items()}
    return {name: value for name, value in found.items() if "/window/" not in name}


def kind(ranks: Ranks, config: dict[str, Any], number: int = 3) -> dict[str, Any]:
    """Take steps of two micro-batches in the run of a config, and evaluate; return what `taken` does, and results."""
    trainer = {**config["trainer"], "devices": ranks.size, "accumulate": 2 // ranks.size, "log_every": 2}
    job = build(checked({**config, "trainer": trainer}), Trust(("tests",)), ranks=ranks).job
    found = taken(ranks, job, number)
    results = {name: dataclasses.asdict(each) for name, each in evaluate_split(job, job.val).items()}
    return found | dict(flat({"results": results}))


def evaluation(ranks: Ranks, **changes: Any) -> dict[str, Any]:
    """Return the results of an untrained model on validation data, with the baseline; all ranks have the same."""
    job = make(ranks, "fixed", "hard", {}, ranks.size, changes)
    results = evaluate_split(job, job.val, baseline=True)
    assert job.baseline is not None
    every = {name: dataclasses.asdict(result) for name, result in results.items()}
    base = {name: dataclasses.asdict(result) for name, result in job.baseline.items()}
    found = dict(flat({"results": every, "baseline": base}))
    told = ranks.collect({name: value for name, value in found.items() if not isinstance(value, Tensor)})
    if told is not None:
        assert all(repr(each) == repr(told[0]) for each in told)
    return found


def sums(ranks: Ranks, size: int) -> dict[str, Tensor]:
    """Return sums and gathers of numbers whose sum depends on the order."""
    own = torch.tensor([1e8, 1.0, -1e8, 0.1])[ranks.rank] * torch.ones(size)
    total = ranks.sum_(own.clone())
    ranks.agree({"total": total}, "sum")
    strided = (torch.ones(2, 6) * (ranks.rank + 1)).t()[: 2 * size]
    ordered = ranks.in_order(torch.tensor([[10.0 * ranks.rank], [10.0 * ranks.rank + 1]]))
    return {"total": total, "strided": ranks.sum_(strided), "ordered": ordered}


def flat(node: Any, at: str = "") -> Any:
    """Yield the leaves of nested data by path; tensors as they are."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from flat(value, f"{at}/{key}")
    elif isinstance(node, list | tuple) and not all(isinstance(each, int | float | str) for each in node):
        for key, value in enumerate(node):
            yield from flat(value, f"{at}/{key}")
    elif isinstance(node, set):
        yield at, sorted(node)
    else:
        yield at, node
