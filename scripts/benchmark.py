"""Measures the speed of mtl-train, each figure beside what it is compared with, as a table and as CSV.

Steps of mtl-train and of a bare hand-written loop (same layers, data, batches and precision) run in one process, in
interleaved windows: medians of the windows' ratios with their quartiles. Other rows: precision, reading data,
evaluation, start-up, a sweep against separate processes, growth with tasks and samples.

    scripts/benchmark [--windows 20] [--steps 30] [--only speed,start] [--output benchmark.csv]
"""

import argparse
import copy
import csv
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import benchmark_text
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mtl_cli.build import build
from mtl_cli.commands.compose import hydra_session, plain_config
from mtl_cli.config import resolve
from mtl_cli.job import Job
from mtl_cli.report.progress import Progressbar
from mtl_cli.rundir import RunDirectory
from mtl_cli.selection import evaluate_split
from mtl_cli.targets import Trust
from mtl_cli.trainer import log, next_step, train_step

SMALL_MLP = ["backbone=mlp", "backbone.hidden=[110,110]"]  # 100k parameters on 28×28 images
CASES: dict[str, list[str]] = {
    "cnn, two datasets": ["task=mnist_digits+letters"],
    "cnn, one dataset": ["task=mnist_digits"],
    "cnn, one dataset, two tasks": ["task=multi_mnist_left+multi_mnist_right"],
    "mlp of 100k, two datasets": ["task=mnist_digits+letters", *SMALL_MLP],
    "mlp of 100k, one dataset": ["task=mnist_digits", *SMALL_MLP],
}


def make_job(overrides: list[str]) -> tuple[Job, dict[str, Any]]:
    """Return a job of the default config with overrides, and its config."""
    with hydra_session() as session:
        config = plain_config(session.compose([*overrides, "quiet=true"]))
    return build(resolve(config), Trust()).job, config


def our_steps(job: Job, out: RunDirectory, bar: Progressbar) -> Callable[[int], None]:
    """Return a function that takes a number of steps as `mtl_cli.trainer.train` does."""

    def run(number: int) -> None:
        job.learner.model.train()
        for _ in range(number):
            step = next_step(job)
            update = train_step(job, step)
            job.progress.step += 1
            bar.advance(job.progress.samples)
            if step.logging:
                bar.show(log(job, out, step, update))

    return run


class Bare(nn.Module):
    """The job's layers as a person would write them down: one trunk, one linear head a task."""

    def __init__(self, job: Job) -> None:
        super().__init__()
        model = job.learner.model
        self.trunk = nn.Sequential(*list(model.sharing.trunk.children())[1:])  # type: ignore[union-attr]
        self.heads = nn.ModuleDict({name: head.layers for name, head in model.heads.items()})

    def forward(self, images: Tensor, tasks: list[str]) -> list[Tensor]:
        """Return the logits of tasks."""
        hidden = self.trunk(images)
        return [self.heads[task](hidden) for task in tasks]


def bare_steps(job: Job, flat: bool) -> Callable[[int], None]:
    """Return a function that takes steps of a hand-written loop on the same data, in memory."""
    model = Bare(job)
    device, bf16 = job.learner.arithmetic.device, job.learner.arithmetic.bf16
    lr = job.optimizer.param_groups[0]["lr"]
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.01, fused=True)
    data = []
    for stream in job.train.values():
        rows: Any = stream.dataset
        mean, std = torch.tensor(rows.mean).reshape(-1, 1, 1), torch.tensor(rows.std).reshape(-1, 1, 1)
        labels = {task: rows.fields[field] for task, field in stream.targets.items()}
        data.append((rows.images, labels, (1 / (255 * std)).to(device), (-mean / std).to(device)))
    orders = [iter(torch.randperm(0)) for _ in data]
    size = 128

    def run(number: int) -> None:
        model.train()
        for _ in range(number):
            optimizer.zero_grad(set_to_none=True)
            total = torch.zeros((), device=device)
            with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
                for index, (images, labels, scale, shift) in enumerate(data):
                    rows = next(orders[index], None)
                    if rows is None or len(rows) < size:
                        orders[index] = iter(torch.randperm(len(images), device=images.device).split(size))
                        rows = next(orders[index])
                    batch = torch.addcmul(shift, images[rows].float(), scale)
                    outputs = model(batch.flatten(1) if flat else batch, list(labels))
                    for target, logits in zip(labels.values(), outputs, strict=True):
                        total = total + F.cross_entropy(logits.float(), target[rows])
            total.backward()
            optimizer.step()

    return run


def timed(run: Callable[[int], None], steps: int, device: torch.device) -> float:
    """Return the seconds that a number of steps takes."""
    start = time.perf_counter()
    run(steps)
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def summary(values: list[float]) -> tuple[str, str]:
    """Return the median and the quartiles, as text."""
    quartiles = statistics.quantiles(values, n=4)
    return f"{statistics.median(values):.3f}", f"{quartiles[0]:.3f} to {quartiles[2]:.3f}"


def interleaved(
    first: Callable[[int], None], second: Callable[[int], None], windows: int, steps: int, device: torch.device
) -> list[tuple[float, float]]:
    """Return the seconds of both in every window, run in turn, after one window that is not counted."""
    timed(first, steps, device), timed(second, steps, device)
    pairs = []
    for window in range(windows):
        if window % 2:
            pairs.append((timed(first, steps, device), timed(second, steps, device)))
        else:
            b = timed(second, steps, device)
            pairs.append((timed(first, steps, device), b))
    return pairs


Row = dict[str, str]


def row(what: str, figure: str, spread: str, goal: str, detail: str) -> Row:
    """Return a row of the table."""
    return {"what": what, "figure": figure, "quartiles": spread, "goal": goal, "detail": detail}


def speed(windows: int, steps: int, folder: Path) -> Iterator[Row]:
    """Yield samples/s of mtl-train as a part of a bare loop's."""
    for name, overrides in CASES.items():
        job, config = make_job([*overrides, "trainer.max_steps=100000000"])
        out = RunDirectory.create(folder / name.replace(" ", "_"), config, "benchmark")
        bare = bare_steps(make_job(overrides)[0], flat="backbone=mlp" in overrides)
        ours = our_steps(job, out, Progressbar(10**8, 0, 0, quiet=True))
        pairs = interleaved(ours, bare, windows, steps, job.learner.arithmetic.device)
        out.close()
        a, b = (1000 * statistics.median(values) / steps for values in zip(*pairs, strict=True))
        precision = "bf16" if job.learner.arithmetic.bf16 else "fp32"
        figure, spread = summary([b / a for a, b in pairs])
        goal = ">= 0.90" if "mlp" in name else ">= 0.97"
        yield row(
            f"samples/s against a bare loop: {name}", figure, spread, goal, f"{precision}, {a:.2f} / {b:.2f} ms a step"
        )


def plain_steps(job: Job) -> Callable[[int], None]:
    """Return a function that takes a number of a job's steps, without records."""

    def run(number: int) -> None:
        job.learner.model.train()
        for _ in range(number):
            train_step(job, next_step(job))
            job.progress.step += 1

    return run


def precision(windows: int, steps: int, folder: Path) -> Iterator[Row]:
    """Yield the speed of bf16 against fp32 on the default run."""
    fast, slow = (make_job([f"trainer.precision={name}"])[0] for name in ("bf16", "fp32"))
    pairs = interleaved(plain_steps(fast), plain_steps(slow), windows, steps, fast.learner.arithmetic.device)
    figure, spread = summary([b / a for a, b in pairs])
    auto = "bf16" if make_job([])[0].learner.arithmetic.bf16 else "fp32"
    yield row("bf16 against fp32, cnn", figure, spread, ">= 1.8", f"precision=auto chooses {auto} here")


def reading(windows: int, steps: int, folder: Path) -> Iterator[Row]:
    """Yield the share of a step that drawing its batches takes."""
    job = make_job([])[0]
    run = plain_steps(job)

    def draw(number: int) -> None:
        for _ in range(number):
            next_step(job)

    pairs = interleaved(draw, run, windows, steps, job.learner.arithmetic.device)
    figure, spread = summary([a / b for a, b in pairs])
    yield row("share of a step that drawing its batches takes, cnn", figure, spread, "<= 0.02", "tensors in memory")


def evaluation(windows: int, steps: int, folder: Path) -> Iterator[Row]:
    """Yield the samples/s of an evaluation against those of training."""
    job = make_job([])[0]
    run, samples = plain_steps(job), sum(len(stream.dataset) for stream in job.val.values())
    evaluate_split(job, job.val)
    ratios = []
    for _ in range(max(4, windows // 4)):
        before, drawn = time.perf_counter(), job.progress.samples
        run(steps)
        trained = (job.progress.samples - drawn) / (time.perf_counter() - before)
        before = time.perf_counter()
        evaluate_split(job, job.val)
        ratios.append(samples / (time.perf_counter() - before) / trained)
    figure, spread = summary(ratios)
    yield row("samples/s of an evaluation against training, cnn", figure, spread, ">= 2", f"{samples} samples")


def seconds_of(command: list[str], folder: Path, times: int = 3) -> float:
    """Return the median wall seconds of a command."""
    taken = []
    for _ in range(times):
        before = time.perf_counter()
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        taken.append(time.perf_counter() - before)
    return statistics.median(taken)


def start(windows: int, steps: int, folder: Path) -> Iterator[Row]:
    """Yield the seconds of commands that only start, and of a first step against its imports and data."""
    program = str(Path(sys.executable).parent / "mtl-train")
    for arguments in (["--help"], ["--cfg", "job"], ["trainer.max_epoch=1"]):
        command = f"{shlex.join([program, *arguments])} || true"
        taken = seconds_of(["sh", "-c", command], folder, 5)
        yield row(f"mtl-train {' '.join(arguments)}", f"{taken:.2f} s", "", "<= 0.7 s", "wall, median of 5")
    base = "import torch, hydra"
    imports = seconds_of([sys.executable, "-c", base], folder)
    run = [program, "trainer.max_steps=1", "quiet=true", "task=mnist_digits"]
    whole = seconds_of(run, folder)
    detail = f"{whole:.1f} s with build, one step, two evaluations and figures, against {imports:.1f} s of imports"
    yield row("a run of one step against import torch and hydra", f"{whole / imports:.2f}", "", "", detail)


def sweep(windows: int, steps: int, folder: Path) -> Iterator[Row]:
    """Yield the time of a sweep of 8 short jobs against 8 processes."""
    program = str(Path(sys.executable).parent / "mtl-train")
    common = ["trainer.max_steps=5", "quiet=true", "task=mnist_digits"]
    before = time.perf_counter()
    for seed in range(8):
        subprocess.run([program, *common, f"seed={seed}"], cwd=folder, check=True, capture_output=True)
    apart = time.perf_counter() - before
    together = seconds_of([program, "-m", *common, "seed=range(8)"], folder, 1)
    detail = f"{together:.1f} s against {apart:.1f} s"
    yield row("a sweep of 8 short jobs against 8 processes", f"{together / apart:.2f}", "", "<= 0.5", detail)


def growth(windows: int, steps: int, folder: Path) -> Iterator[Row]:
    """Yield the time of a step for 1 to 32 tasks of one dataset, and for 1k to 1M samples."""
    _, config = make_job(["task=multi_mnist_left"])
    times = []
    for tasks in (1, 2, 4, 8, 16, 32):
        more = copy.deepcopy(config)
        more["tasks"] = {f"t{index}": config["tasks"]["multi_mnist_left"] for index in range(tasks)}
        job = build(resolve(more), Trust()).job
        run = plain_steps(job)
        run(steps)
        times.append(1000 * min(timed(run, steps, job.learner.arithmetic.device) for _ in range(3)) / steps)
    per_task = (times[-1] - times[0]) / 31
    detail = ", ".join(f"{time:.1f}" for time in times) + " ms a step for T = 1, 2, 4, 8, 16, 32"
    yield row("growth with tasks: each adds", f"{per_task:.2f} ms", "", "linear", detail)


PARTS = {
    "speed": speed,
    "precision": precision,
    "reading": reading,
    "evaluation": evaluation,
    "start": start,
    "sweep": sweep,
    "growth": growth,
    "text": benchmark_text.text,
}


def main() -> None:
    """Print the table as Markdown and write it as CSV."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", type=int, default=20)
    parser.add_argument("--steps", type=int, default=30, help="optimizer steps a window")
    parser.add_argument("--only", default=",".join(PARTS), help="parts, joined by commas")
    parser.add_argument("--output", type=Path, default=Path("benchmark.csv"))
    options = parser.parse_args()
    rows = []
    folder = Path(tempfile.mkdtemp())
    try:
        for name in options.only.split(","):
            for each in PARTS[name](options.windows, options.steps, folder):
                rows.append(each)
                print("| " + " | ".join(each.values()) + " |", flush=True)
    finally:
        shutil.rmtree(folder)
    with options.output.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
