"""Compares the speed of mtl-train with that of a bare PyTorch loop: same model, batches and precision.

Both run in one process, in interleaved windows; medians and quartiles of the windows' ratios are printed as a table and
written as CSV. Usage: scripts/benchmark [--windows 20] [--steps 30] [--output FILE.csv] [--cases cnn,mlp,...]
"""

import argparse
import csv
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mtl_cli.build import build
from mtl_cli.compose import hydra_session, plain_config
from mtl_cli.config import resolve
from mtl_cli.report.progress import Progressbar
from mtl_cli.rundir import RunDirectory
from mtl_cli.targets import Trust
from mtl_cli.trainer import Job, log, next_step, train_step

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


def compare(name: str, overrides: list[str], windows: int, steps: int, folder: Path) -> dict[str, str]:
    """Return a row of the table: ours against bare, in interleaved windows."""
    job, config = make_job([*overrides, "trainer.max_steps=100000000"])
    out = RunDirectory.create(folder / name.replace(" ", "_"), config, "benchmark")
    ours = our_steps(job, out, Progressbar(10**8, 0, 0, quiet=True))
    bare = bare_steps(make_job(overrides)[0], flat="backbone=mlp" in overrides)
    device = job.learner.arithmetic.device
    timed(ours, steps, device), timed(bare, steps, device)
    pairs = []
    for window in range(windows):
        first, second = (ours, bare) if window % 2 else (bare, ours)
        a, b = timed(first, steps, device), timed(second, steps, device)
        pairs.append((a, b) if window % 2 else (b, a))
    out.close()
    ratios = sorted(b / a for a, b in pairs)
    quartiles = statistics.quantiles(ratios, n=4)
    return {
        "case": name,
        "precision": "bf16" if job.learner.arithmetic.bf16 else "fp32",
        "bare ms/step": f"{1000 * statistics.median(b for _, b in pairs) / steps:.3f}",
        "ours ms/step": f"{1000 * statistics.median(a for a, _ in pairs) / steps:.3f}",
        "speed ours/bare": f"{statistics.median(ratios):.3f}",
        "quartiles": f"{quartiles[0]:.3f} to {quartiles[2]:.3f}",
    }


def main() -> None:
    """Print the table and write it as CSV."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", type=int, default=20)
    parser.add_argument("--steps", type=int, default=30, help="optimizer steps a window")
    parser.add_argument("--output", type=Path, default=Path("benchmark.csv"))
    parser.add_argument("--cases", default="", help="only cases whose name holds this")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, overrides in CASES.items():
            if options.cases in name:
                rows.append(compare(name, overrides, options.windows, options.steps, Path(folder)))
                print("  ".join(f"{key} {value}" for key, value in rows[-1].items()), flush=True)
    with options.output.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
