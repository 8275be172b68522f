"""Compares the front that one run of weighting=preference learns with that of separate runs under fixed weights.

    python scripts/compare_front.py [--task multi_mnist_left+multi_mnist_right] [--epochs 4] [--factor 1]
                                    [--seeds 0,1,2] [--points 11] [--output DIR] [override of the preference run ...]

The task is of two parts. There are --points separate runs of --epochs epochs, with weights (0, 1), (0.1, 0.9), …,
(1, 0), and one run under weighting=preference of --factor times as many, which is then evaluated with as many
preferences. A point is the gain over the trivial predictor in the primary metric of each task, on test data, so that
the hypervolume is that above a gain of 0. The share is that of the one run over that of all separate ones; the goal is
0.98 at twice the cost of one separate run at most. Runs are sweeps in DIR, so that a second call goes on.
"""

import argparse
import io
import re
import statistics
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mtl_cli
from mtl_cli import cli
from mtl_cli.files import read_json

Point = tuple[float, float]


@dataclass(frozen=True)
class Front:
    """Gains of both tasks at each point, and the seconds that training took."""

    points: list[Point]
    seconds: float


def hypervolume(points: Sequence[Point]) -> float:
    """Return the area of gains [N, 2] that are at most as good as a point, above 0."""
    area, highest = 0.0, 0.0
    for first, second in sorted(points, reverse=True):
        if first > 0 and second > highest:
            area += first * (second - highest)
            highest = second
    return area


def gains(primary: dict[str, Any], test: dict[str, float]) -> Point:
    """Return the gains of both tasks over the trivial predictor on test data."""
    found = []
    for task, facts in primary.items():
        value, trivial = test[f"{task}/{facts['metric']}"], facts["trivial"]
        found.append(1 - value / trivial if facts["lower_is_better"] else (value - trivial) / (1 - trivial))
    return found[0], found[1]


def parts_of(points: int) -> list[Point]:
    """Return evenly spaced preferences from the second task to the first."""
    return [(at / (points - 1), 1 - at / (points - 1)) for at in range(points)]


def trained(folder: Path, words: Sequence[str]) -> dict[str, Any]:
    """Return the summary of a run, which is trained where it is not there."""
    if not (folder / "summary.json").exists() and cli.main([*words, f"hydra.run.dir={folder}", "quiet=true"]):
        raise SystemExit(f"{' '.join(words)} failed")
    return read_json(folder / "summary.json")


def separate(folder: Path, common: Sequence[str], tasks: Sequence[str], points: int, primary: dict[str, Any]) -> Front:
    """Return the front of separate runs, and the mean seconds of one."""
    found, seconds = [], []
    for weights in parts_of(points):
        own = [f"tasks.{task}.weight={weight:.6g}" for task, weight in zip(tasks, weights, strict=True)]
        summary = trained(folder / f"fixed_{weights[0]:.2f}", [*common, *own])
        found.append(gains(primary, summary["test"]))
        seconds.append(summary["train_seconds"])
    return Front(found, statistics.fmean(seconds))


def preferred(folder: Path, summary: dict[str, Any], points: int) -> Front:
    """Return the front of one run at as many preferences."""
    found = []
    for parts in parts_of(points):
        with redirect_stdout(io.StringIO()):
            metrics = mtl_cli.evaluate(folder, overrides={"preference": list(parts), "bootstrap": 0})["metrics"]
        found.append(gains(summary["primary"], metrics))
    return Front(found, summary["train_seconds"])


def compared(folder: Path, seed: str, chosen: argparse.Namespace) -> tuple[float, float]:
    """Return the share of the hypervolume of the separate runs and the cost in that of one, for a seed; print both."""
    common = [f"task={chosen.task}", f"seed={seed}", "trainer.threads=1"]
    longer = [f"trainer.max_epochs={chosen.epochs * chosen.factor:g}", "weighting=preference", *chosen.overrides]
    name = re.sub(r"[^\w.]+", "_", " ".join(["preference", f"{chosen.factor:g}", *chosen.overrides]))
    summary = trained(folder / name, [*common, *longer])
    tasks = list(summary["primary"])
    one = preferred(folder / name, summary, chosen.points)
    plain = [*common, f"trainer.max_epochs={chosen.epochs}"]
    many = separate(folder, plain, tasks, chosen.points, summary["primary"])
    print(f"seed {seed}\n| part of {tasks[0]} | {' | '.join(['separate runs', 'one run'])} |\n| --- | --- | --- |")
    for (part, _), theirs, own in zip(parts_of(chosen.points), many.points, one.points, strict=True):
        print(f"| {part:.1f} | {theirs[0]:.4f}, {theirs[1]:.4f} | {own[0]:.4f}, {own[1]:.4f} |")
    share, cost = hypervolume(one.points) / hypervolume(many.points), one.seconds / many.seconds
    print(f"share of the hypervolume {share:.4f}, at {cost:.2f} × the seconds of one separate run\n", flush=True)
    return share, cost


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="multi_mnist_left+multi_mnist_right")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--factor", type=float, default=1.0, help="epochs of the one run over those of a separate one")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--points", type=int, default=11)
    parser.add_argument("--output", type=Path, default=Path("runs/compare_front"))
    parser.add_argument("overrides", nargs="*", help="overrides of the run under weighting=preference")
    chosen = parser.parse_intermixed_args()
    found = [compared(chosen.output / f"seed_{seed}", seed, chosen) for seed in chosen.seeds.split(",")]
    shares, costs = ([pair[index] for pair in found] for index in (0, 1))
    print(f"mean share {statistics.fmean(shares):.4f}, from {min(shares):.4f} to {max(shares):.4f}", end="; ")
    print(f"mean cost {statistics.fmean(costs):.2f} ×")


if __name__ == "__main__":
    main()
