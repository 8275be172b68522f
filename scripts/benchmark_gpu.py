"""The rows of the benchmark on a GPU: a bare loop, ours, ours compiled, and a bare loop as one CUDA graph, by batch."""

import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from bare_network import Bare
from measuring import ENDLESS, Row, Steps, make_job, plain_steps, row, timed
from torch import Tensor
from torch.nn import functional as F

from mtl_cli.training.job import Job

SIZES = (128, 512, 4096)
JOBS = {
    "cnn": ["task=mnist_digits"],
    "mlp of 100k": ["task=mnist_digits", "backbone=mlp", "backbone.hidden=[110,110]"],
}
_RUNS = ["data.batch_size={size}", "trainer.precision={precision}", "trainer.max_epochs=null", ENDLESS]


class BareLoop:
    """A hand-written loop: rows by a permutation on the device, cross-entropy, fused AdamW."""

    def __init__(self, job: Job, size: int, capturable: bool) -> None:
        ((self.dataset, stream),) = job.train.items()
        rows: Any = stream.rows
        self.model, self.size, self.bf16 = Bare(job, own_layout=True), size, job.learner.arithmetic.bf16
        self.device = job.learner.arithmetic.device
        self.images = rows.images.to(self.device)
        self.labels = {task: rows.fields[field].to(self.device) for task, field in stream.targets.items()}
        mean, std = (torch.tensor(each, device=self.device).reshape(-1, 1, 1) for each in (rows.mean, rows.std))
        self.scale, self.shift = 1 / (255 * std), -mean / std
        lr = job.optimizer.param_groups[0]["lr"]
        parameters = self.model.parameters()
        self.optimizer = torch.optim.AdamW(parameters, lr=lr, weight_decay=0.01, fused=True, capturable=capturable)
        self.order = iter(torch.empty(0))

    def rows(self) -> Tensor:
        """Return the next rows [B]."""
        rows = next(self.order, None)
        if rows is None or len(rows) < self.size:
            self.order = iter(torch.randperm(len(self.images), device=self.device).split(self.size))
            rows = next(self.order)
        return rows

    def step(self, rows: Tensor) -> None:
        """Take one optimizer step on rows [B]."""
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            batch = torch.addcmul(self.shift, self.images[rows].float(), self.scale)
            outputs = self.model(self.dataset, batch, list(self.labels))
            pairs = zip(outputs, self.labels.values(), strict=True)
            losses = [F.cross_entropy(out.float(), labels[rows]) for out, labels in pairs]
        torch.stack(losses).sum().backward()
        self.optimizer.step()


def bare_steps(job: Job, size: int) -> Steps:
    """Return a function that takes steps of a hand-written loop."""
    loop = BareLoop(job, size, capturable=False)

    def run(number: int) -> None:
        loop.model.train()
        for _ in range(number):
            loop.step(loop.rows())

    return run


def graph_steps(job: Job, size: int) -> Steps:
    """Return a function that replays the whole step of a hand-written loop as one CUDA graph."""
    loop = BareLoop(job, size, capturable=True)
    loop.model.train()
    rows = loop.rows().clone()
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(3):
            loop.step(rows)
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        loop.step(rows)

    def run(number: int) -> None:
        for _ in range(number):
            rows.copy_(loop.rows())
            graph.replay()

    return run


def gpu(windows: int, steps: int, folder: Path) -> Iterator[Row]:
    """Yield the milliseconds per step of four loops, or one row that says that there is no GPU."""
    if not torch.cuda.is_available():
        yield row("steps on a GPU", "not measured", "", "", "this machine has no GPU")
        return
    name = torch.cuda.get_device_name()
    for model, overrides in JOBS.items():
        for size in SIZES:
            for precision in ("fp32", "bf16"):
                yield _row(f"{model}, batch {size}, {precision}, {name}", overrides, size, precision, windows, steps)


def _row(what: str, overrides: list[str], size: int, precision: str, windows: int, steps: int) -> Row:
    """Measure the four loops in turn: ours as a part of the bare loop, with the times of all."""

    def job(*more: str) -> Job:
        return make_job([*overrides, *(each.format(size=size, precision=precision) for each in _RUNS), *more])[0]

    loops: dict[str, Callable[[], Steps]] = {
        "bare": lambda: bare_steps(job(), size),
        "ours": lambda: plain_steps(job()),
        "ours compiled": lambda: plain_steps(job("trainer.compile=true")),
        "bare, one CUDA graph": lambda: graph_steps(job(), size),
    }
    runs = {name: make() for name, make in loops.items()}
    for run in runs.values():
        run(5)
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for window in range(windows):
        for name in list(runs) if window % 2 else reversed(list(runs)):
            taken[name].append(timed(runs[name], steps, torch.device("cuda")))
    ratios = [bare / ours for bare, ours in zip(taken["bare"], taken["ours"], strict=True)]
    quartiles = statistics.quantiles(ratios, n=4)
    detail = ", ".join(f"{name} {1000 * statistics.median(each) / steps:.3f}" for name, each in taken.items())
    spread = f"{quartiles[0]:.3f} to {quartiles[2]:.3f}"
    return row(f"ours against a bare loop: {what}", f"{statistics.median(ratios):.3f}", spread, "", f"{detail} ms")
