"""Measures starts, sweeps and growth: a first step, short commands, 8 jobs, 1 to 32 tasks, 1k to 1M samples.

It is a part of scripts/benchmark (--only start,sweep,growth).
"""

import copy
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmark_data import TARGETS, config_on, write_arrays
from measuring import Row, compose, cpu_seconds_of, job_of, plain_steps, row, seconds_of, timed

PROGRAM = str(Path(sys.executable).parent / "mtl-train")
FIRST_STEP = """
import sys, time
begin = float(sys.argv.pop(1))
from mtl_cli import cli
from mtl_cli.runs import run
from mtl_cli.training import trainer
original = trainer.train_step
def train_step(job, step):
    original(job, step)
    print(time.time() - begin, flush=True)
    raise SystemExit
trainer.train_step = train_step
cli.main(sys.argv[1:])
"""
BARE = """
import sys, time
begin = float(sys.argv.pop(1))
import torch, hydra
from mtl_cli.datasets.letters import Letters
from mtl_cli.datasets.mnist_digits import MnistDigits
sources = [kind("packaged", None, 128) for kind in (Letters, MnistDigits)]
print(time.time() - begin)
model = torch.nn.Sequential(torch.nn.Conv2d(1, 32, 3), torch.nn.Flatten(), torch.nn.Linear(32 * 26 * 26, 10))
optimizer = torch.optim.AdamW(model.parameters(), fused=True)
model(torch.randn(128, 1, 28, 28)).sum().backward()
optimizer.step()
print(time.time() - begin)
"""


def start(windows: int, steps: int, folder: Path) -> Iterator[Row]:
    """Yield the seconds of commands that only start, and of a first step against its imports and data."""
    for arguments in (["--help"], ["--cfg", "job"], ["trainer.max_epoch=1"]):
        command = f"{shlex.join([PROGRAM, *arguments])} || true"
        taken = seconds_of(["sh", "-c", command], folder, 5)
        yield row(f"mtl-train {' '.join(arguments)}", f"{taken:.2f} s", "", "<= 0.7 s", "wall, median of 5")
    taken = cpu_seconds_of([PROGRAM, "trainer.max_steps=2", "quiet=true"], folder)
    yield row(
        "a run of two steps, with its evaluations and figures", f"{taken:.1f} s", "", "<= 4.5 s", "CPU, median of 3"
    )
    firsts, bares = [], []
    for number in range(max(3, windows // 4)):
        firsts += printed(FIRST_STEP, folder, ["quiet=true", f"hydra.run.dir=first_{number}"])
        bares.append(printed(BARE, folder, []))
    first, data, bare = (statistics.median(values) for values in (firsts, *zip(*bares, strict=True)))
    detail = f"{first:.2f} s to the end of the first step, {data:.2f} s of imports and data"
    yield row("first step against import torch, import hydra, reading", f"{first / data:.2f}", "", "<= 1.3", detail)
    detail = f"{bare:.2f} s of a script that takes one AdamW step on the same data"
    yield row("first step against that of a bare script", f"{first / bare:.2f}", "", "", detail)


def printed(script: str, folder: Path, arguments: list[str]) -> list[float]:
    """Return the seconds that a script prints, from its process's start."""
    command = [sys.executable, "-c", script, str(time.time()), *arguments]
    done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
    return [float(line) for line in done.stdout.split()]


def sweep(windows: int, steps: int, folder: Path) -> Iterator[Row]:
    """Yield the time of a sweep of 8 short jobs against 8 processes, and of two jobs at a time against one."""
    common = ["trainer.max_steps=5", "quiet=true", "task=mnist_digits"]
    before = time.perf_counter()
    for seed in range(8):
        subprocess.run([PROGRAM, *common, f"seed={seed}"], cwd=folder, check=True, capture_output=True)
    apart = time.perf_counter() - before
    together = seconds_of([PROGRAM, "-m", *common, "seed=range(8)"], folder, 1)
    detail = f"{together:.1f} s against {apart:.1f} s"
    yield row("a sweep of 8 short jobs against 8 processes", f"{together / apart:.2f}", "", "<= 0.5", detail)
    longer = [PROGRAM, "-m", "quiet=true", "task=mnist_digits", "trainer.max_steps=400", "seed=0,1,2,3"]
    two = [*longer, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "trainer.threads=1"]
    at_once = seconds_of(two, folder, 1)
    in_turn = seconds_of([*longer, "trainer.threads=2"], folder, 1)
    detail = f"{at_once:.1f} s against {in_turn:.1f} s"
    what = "4 jobs, two at a time with a thread each, against in turn with two"
    yield row(what, f"{at_once / in_turn:.2f}", "", "<= 1", detail)


def growth(windows: int, steps: int, folder: Path) -> Iterator[Row]:
    """Yield the time of a step for 1 to 32 tasks of one dataset, and of a step and a start for 1k to 1M samples."""
    config = compose(["task=multi_mnist_left"])
    tasks = (1, 2, 4, 8, 16, 32)
    times = []
    for number in tasks:
        more = copy.deepcopy(config)
        more["tasks"] = {f"t{index}": config["tasks"]["multi_mnist_left"] for index in range(number)}
        job = job_of(more)
        run = plain_steps(job)
        run(steps)
        times.append(1000 * min(timed(run, steps, job.learner.arithmetic.device) for _ in range(3)) / steps)
    detail = ", ".join(f"{each:.1f}" for each in times) + f" ms per step for T = {', '.join(map(str, tasks))}"
    yield row("a step's growth with tasks: each adds", f"{(times[-1] - times[0]) / 31:.2f} ms", "", "linear", detail)
    yield from samples(steps, folder)


def samples(steps: int, folder: Path) -> Iterator[Row]:
    """Yield how a step and a start grow with the number of samples, in arrays on disk."""
    sizes = (1_000, 10_000, 100_000, 1_000_000)
    ms, starts = [], []
    for size in sizes:
        write_arrays(folder / f"rows_{size}", size)
        changes = {
            "root": str(folder), "path": f"rows_{size}", "memory_mb": 1,
            "targets": TARGETS,
        }  # fmt: skip
        config = config_on("arrays", changes, ["backbone=mlp", "backbone.hidden=[256,128]"])
        before = time.perf_counter()
        job = job_of(config)
        starts.append(time.perf_counter() - before)
        run = plain_steps(job)
        run(steps)
        ms.append(1000 * min(timed(run, steps, job.learner.arithmetic.device) for _ in range(5)) / steps)
    named = "for 1k, 10k, 100k, 1M rows of 256 numbers"
    detail = ", ".join(f"{each:.2f}" for each in ms) + f" ms per step {named}"
    yield row("a step with 1M samples against 1k", f"{ms[-1] / ms[0]:.2f}", "", "1", detail)
    detail = ", ".join(f"{each:.2f}" for each in starts) + f" s to open and build {named}"
    yield row("opening 1M samples on disk", f"{starts[-1]:.1f} s", "", "", detail)
