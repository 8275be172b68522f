"""Measures the speed of mtl-train, each figure beside what it is compared with, as a table and as CSV.

Steps of mtl-train and of a bare hand-written loop (same layers, data, batches and precision) run in one process, in
interleaved windows. The figures are medians of the windows' ratios with their quartiles. Other rows are about
precision, compilation, reading data, evaluation, texts, start-up, sweeps, and growth with tasks and samples.

    scripts/benchmark [--windows 20] [--steps 20] [--only speed,start] [--output benchmark.csv]
"""

import argparse
import csv
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from bare_network import Bare
from benchmark_data import data
from benchmark_gpu import gpu
from benchmark_images import images_step, images_stream
from benchmark_small import small
from benchmark_start import growth, start, sweep
from benchmark_tasks import tasks
from benchmark_text import text
from benchmark_writing import writing
from measuring import (
    ENDLESS,
    Row,
    Steps,
    interleaved,
    make_job,
    our_steps,
    plain_steps,
    ratio_row,
    row,
    summary,
)
from torch.nn import functional as F

from mtl_cli.storage.directory import RunDirectory
from mtl_cli.training.job import Job
from mtl_cli.training.selection import evaluate_split

SMALL_MLP = ["backbone=mlp", "backbone.hidden=[110,110]"]  # 100k parameters on 28×28 images
CASES: dict[str, list[str]] = {
    "cnn, two datasets": ["task=mnist_digits+letters"],
    "cnn, one dataset": ["task=mnist_digits"],
    "cnn, one dataset, two tasks": ["task=multi_mnist_left+multi_mnist_right"],
    "mlp of 100k, two datasets": ["task=mnist_digits+letters", *SMALL_MLP],
    "mlp of 100k, one dataset": ["task=mnist_digits", *SMALL_MLP],
}


def bare_steps(job: Job, own_layout: bool = True) -> Steps:
    """Return a function that takes steps of a hand-written loop on the same data, in memory."""
    model = Bare(job, own_layout)
    device, bf16 = job.learner.arithmetic.device, job.learner.arithmetic.bf16
    lr = job.optimizer.param_groups[0]["lr"]
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.01, fused=True)
    sources: dict[str, tuple[Any, ...]] = {}
    for name, stream in job.train.items():
        rows: Any = stream.rows
        mean, std = torch.tensor(rows.mean).reshape(-1, 1, 1), torch.tensor(rows.std).reshape(-1, 1, 1)
        labels = {task: rows.fields[field].to(device) for task, field in stream.targets.items()}
        sources[name] = (rows.images.to(device), labels, (1 / (255 * std)).to(device), (-mean / std).to(device))
    orders = {name: iter(torch.randperm(0)) for name in sources}
    size = 128

    def run(number: int) -> None:
        model.train()
        for _ in range(number):
            optimizer.zero_grad(set_to_none=True)
            total = torch.zeros((), device=device)
            with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
                for name, (images, labels, scale, shift) in sources.items():
                    rows = next(orders[name], None)
                    if rows is None or len(rows) < size:
                        orders[name] = iter(torch.randperm(len(images), device=images.device).split(size))
                        rows = next(orders[name])
                    batch = torch.addcmul(shift, images[rows].float(), scale)
                    outputs = model(name, batch, list(labels))
                    for target, logits in zip(labels.values(), outputs, strict=True):
                        total = total + F.cross_entropy(logits.float(), target[rows])
            total.backward()
            optimizer.step()

    return run


def speed(windows: int, steps: int, folder: Path) -> Iterator[Row]:
    """Yield samples/s of mtl-train as a part of a bare loop's."""
    cases = [(name, overrides, True) for name, overrides in CASES.items()]
    cases.insert(2, ("cnn, one dataset, a loop without channels_last", CASES["cnn, one dataset"], False))
    for name, overrides, own_layout in cases:
        job, config = make_job([*overrides, ENDLESS])
        out = RunDirectory.create(folder / name.replace(" ", "_"), config, "benchmark")
        bare = bare_steps(make_job(overrides)[0], own_layout)
        pairs = interleaved(our_steps(job, out), bare, windows, steps, job.learner.arithmetic.device)
        out.close()
        goal = ">= 0.95" if name.endswith("mlp of 100k, two datasets") else ">= 0.97" if own_layout else ""
        yield ratio_row(f"samples/s against a bare loop: {name}", pairs, goal, steps, job.learner.arithmetic.precision)


def precision(windows: int, steps: int, folder: Path) -> Iterator[Row]:
    """Yield the speed of bf16 against fp32 on the default run."""
    fast, slow = (make_job([f"trainer.precision={name}", ENDLESS])[0] for name in ("bf16", "fp32"))
    pairs = interleaved(plain_steps(fast), plain_steps(slow), windows, steps, fast.learner.arithmetic.device)
    auto = make_job([])[0].learner.arithmetic.precision
    goal = ">= 1.8" if auto == "bf16" else "auto: fp32"
    yield ratio_row("bf16 against fp32, cnn", pairs, goal, steps, f"precision=auto chooses {auto} here")


def compilation(windows: int, steps: int, folder: Path) -> Iterator[Row]:
    """Yield the speed of compiled training against plain."""
    for name in ("cnn, one dataset", "mlp of 100k, one dataset"):
        compiled, plain = (make_job([*CASES[name], ENDLESS, f"trainer.compile={on}"])[0] for on in ("true", "false"))
        run = plain_steps(compiled)
        before = time.perf_counter()
        run(2)
        first = time.perf_counter() - before
        pairs = interleaved(run, plain_steps(plain), windows, steps, plain.learner.arithmetic.device)
        yield ratio_row(f"trainer.compile=true against false: {name}", pairs, "", steps, f"first steps {first:.0f} s")


def evaluation(windows: int, steps: int, folder: Path) -> Iterator[Row]:
    """Yield the samples/s of an evaluation against those of training."""
    job = make_job([])[0]
    run, samples = plain_steps(job), sum(len(stream.rows) for stream in job.val.values())
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


PARTS = {
    "speed": speed,
    "precision": precision,
    "compilation": compilation,
    "data": data,
    "evaluation": evaluation,
    "tasks": tasks,
    "small": small,
    "text": text,
    "images_step": images_step,
    "images_stream": images_stream,
    "writing": writing,
    "start": start,
    "sweep": sweep,
    "growth": growth,
    "gpu": gpu,
}


def main() -> None:
    """Print the table as Markdown and write it as CSV."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", type=int, default=20)
    parser.add_argument("--steps", type=int, default=20, help="optimizer steps per window")
    parser.add_argument("--only", default=",".join(PARTS), help="parts, joined by commas")
    parser.add_argument("--output", type=Path, default=Path("benchmark.csv"))
    options = parser.parse_args()
    if unknown := [name for name in options.only.split(",") if name not in PARTS]:
        parser.error(f"--only names {', '.join(unknown)}; the parts are {', '.join(PARTS)}")
    rows: list[Row] = []
    folder = Path(tempfile.mkdtemp())
    try:
        for name in options.only.split(","):
            for each in PARTS[name](options.windows, options.steps, folder):
                if not rows:
                    print("| " + " | ".join(each) + " |\n|" + " --- |" * len(each), flush=True)
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
