"""Measures what reading costs: drawing batches, arrays and tables on disk against memory, a file ten times as large.

It is a part of scripts/benchmark (--only data).
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from measuring import ENDLESS, Row, compose, interleaved, job_of, make_job, plain_steps, ratio_row, row, summary

from mtl_cli.config.shipped import conf_dir
from mtl_cli.training.next_step import next_step

WIDTH, CLASSES = 256, 10
SMALL, LARGE = 30_000, 300_000
TABLE_ROWS = 60_000
TARGETS = {"y": {"kind": "class", "column": "y"}}


def data(windows: int, steps: int, folder: Path) -> Iterator[Row]:
    """Yield the share of a step that drawing takes, rates on disk against memory, and those of a larger file."""
    yield drawing(windows, steps)
    write_arrays(folder / "small", SMALL)
    write_arrays(folder / "large", LARGE)
    write_table(folder / "table.csv", TABLE_ROWS)
    yield from disk(windows, steps, folder)
    yield from larger(folder)


def drawing(windows: int, steps: int) -> Row:
    """Return the share of a step that drawing its batches takes."""
    job = make_job([])[0]

    def draw(number: int) -> None:
        for _ in range(number):
            next_step(job)

    pairs = interleaved(draw, plain_steps(job), windows, steps, job.learner.arithmetic.device)
    figure, spread = summary([a / b for a, b in pairs])
    return row("share of a step that drawing its batches takes, cnn", figure, spread, "<= 0.02", "tensors in memory")


def disk(windows: int, steps: int, folder: Path) -> Iterator[Row]:
    """Yield the samples/s with rows on disk against the same rows in memory."""
    arrays = {"path": "small", "targets": TARGETS}
    table = {
        "path": "table.csv",
        "targets": TARGETS,
        "cache_dir": str(folder / "cache"),
    }
    mlp, tabular = ["backbone=mlp", "backbone.hidden=[256,128]"], ["backbone=tabular"]
    for what, option, node, overrides in (
        (f"arrays of {WIDTH} columns, mlp", "arrays", arrays, mlp),
        ("a table of 30 numbers and 10 categories, tabular", "tabular", table, tabular),
    ):
        on_disk, in_memory = (
            job_of(config_on(option, {**node, "root": str(folder), "memory_mb": size}, overrides))
            for size in (1, 10_000)
        )
        device = on_disk.learner.arithmetic.device
        pairs = interleaved(plain_steps(on_disk), plain_steps(in_memory), windows, steps, device)
        yield ratio_row(f"samples/s from disk against memory: {what}", pairs, ">= 0.97", steps, "data.workers=0")


def larger(folder: Path) -> Iterator[Row]:
    """Yield anonymous memory and samples/s of arrays ten times as large, on disk, each in a process of its own."""
    found = {}
    for name in ("small", "large", "small", "large"):
        command = [sys.executable, str(Path(__file__)), str(folder), name]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        rate, memory = float(output[-2]), float(output[-1])
        found[name] = max(found.get(name, (0.0, 0.0)), (rate, memory))
    (rate, memory), (small_rate, small_memory) = found["large"], found["small"]
    detail = f"{rate:.0f} / {small_rate:.0f} samples/s with {LARGE} / {SMALL} rows"
    yield row("samples/s of a memory-mapped data set 10 x larger", f"{rate / small_rate:.2f}", "", "1", detail)
    goal = f"<= {1.1 * small_memory + 100:.0f} MB"
    yield row("its anonymous memory", f"{memory:.0f} MB", "", goal, f"{small_memory:.0f} MB with the smaller one")


def config_on(option: str, changes: dict[str, Any], overrides: list[str]) -> dict[str, Any]:
    """Return a config of one task of classification on a file."""
    config = compose(["task=mnist_digits", ENDLESS, *overrides])
    node = yaml.safe_load((conf_dir() / "dataset" / f"{option}.yaml").read_text(encoding="utf-8"))
    task = config["tasks"].pop("mnist_digits")
    config["tasks"]["y"] = {**task, "target": "y", "dataset": {**node, **changes}}
    return config


def write_arrays(folder: Path, rows: int) -> None:
    """Write x.npy float32 [rows, WIDTH] and y.npy."""
    if folder.exists():
        return
    folder.mkdir(parents=True)
    stream = np.random.default_rng(0)
    matrix = np.lib.format.open_memmap(folder / "x.npy", "w+", np.float32, (rows, WIDTH))
    for start in range(0, rows, 10_000):
        matrix[start : start + 10_000] = stream.standard_normal((min(10_000, rows - start), WIDTH), dtype=np.float32)
    matrix.flush()
    np.save(folder / "y.npy", stream.integers(0, CLASSES, rows))


def write_table(path: Path, rows: int, numbers: int = 30) -> None:
    """Write a CSV file of numbers, 10 categories and a class."""
    stream = np.random.default_rng(0)
    cells = stream.standard_normal((rows, numbers)).round(3)
    codes = stream.integers(0, 50, (rows, 10))
    with path.open("w", encoding="utf-8") as file:
        file.write(",".join([*(f"n{i}" for i in range(numbers)), *(f"c{i}" for i in range(10)), "y"]) + "\n")
        for values, kinds, label in zip(cells, codes, stream.integers(0, CLASSES, rows), strict=True):
            file.write(",".join([*map(str, values), *(f"k{kind}" for kind in kinds), f"y{label}"]) + "\n")


def anonymous_mb() -> float:
    """Return this process's anonymous memory."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return int(next(line for line in lines if line.startswith("RssAnon")).split()[1]) / 1024


def main() -> None:
    """Train on the arrays in FOLDER/NAME, on disk; print samples/s and MB."""
    import time

    folder, name = sys.argv[1:]
    changes = {"path": name, "root": folder, "memory_mb": 1, "targets": TARGETS}
    job = job_of(config_on("arrays", changes, ["backbone=mlp", "backbone.hidden=[256,128]"]))
    run = plain_steps(job)
    run(100)
    before, samples = time.perf_counter(), job.progress.samples
    run(1000)
    print((job.progress.samples - samples) / (time.perf_counter() - before), anonymous_mb())


if __name__ == "__main__":
    main()
