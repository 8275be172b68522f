"""Counts what sweeps of two settings say where nothing differs, and where a difference is planted: real short runs.

    python scripts/same_settings.py [--sweeps 200] [--seeds 3] [--jobs 1] [--planted OVERRIDE] [--output DIR]

Each sweep compares two settings that are the same program with other seeds; the seeds are then renamed, so that runs
are paired as in any sweep. The rule of mtl-report is made for at most 5 % of such sweeps with a wrong "better" or
"worse". With --planted, such as trainer.max_steps=11, the second setting of each sweep has this override, and the power
is printed: the share of sweeps whose Δm is said to be better or worse, in the direction that the means of all runs
have. A second call goes on with the runs that are there: one takes half a CPU-second, 200 sweeps 1,200 runs.
"""

import argparse
import contextlib
import io
import statistics
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

from mtl_cli import cli
from mtl_cli.answers.comparison import BETTER, UNKNOWN, WORSE, Comparison
from mtl_cli.answers.inference import Unit
from mtl_cli.answers.runs import Run, find_runs
from mtl_cli.answers.verdict import judge

SMALL = (
    "task=multi_mnist_left+multi_mnist_right", "backbone=mlp", "backbone.hidden=[8]", "trainer.max_steps=10",
    "trainer.precision=fp32", "quiet=true",
)  # fmt: skip
NAMES = ("one", "same")


def relabelled(run: Run, name: str, seed: int) -> Run:
    """Return a run as one of the setting `name` with another seed."""
    config = {**run.config, "seed": seed, "sharing": {"_target_": f"mtl_cli.sharing.{name}.Name"}}
    return replace(run, config=config, unit=Unit(seed))


def sweeps_of(runs: list[Run], seeds: int) -> list[list[Run]]:
    """Return the runs divided into sweeps of two settings with `seeds` seeds each."""
    size = 2 * seeds
    return [
        [relabelled(run, NAMES[place // seeds], place % seeds) for place, run in enumerate(runs[at : at + size])]
        for at in range(0, len(runs) - size + 1, size)
    ]


def wrong(sweep: list[Run]) -> bool:
    """Return whether any "better" or "worse" is said of a sweep."""
    return any(
        each.word in (BETTER, WORSE)
        for answer in judge(sweep, NAMES[0]).answers
        for each in [*([answer.gain] if answer.gain else []), *answer.metrics]
    )


def planted(own: Sequence[Run], others: Sequence[Run], seeds: int) -> list[list[Run]]:
    """Return sweeps of two settings, the second of which has the planted difference."""
    return [
        [*(relabelled(run, NAMES[0], place) for place, run in enumerate(own[at : at + seeds])),
         *(relabelled(run, NAMES[1], place) for place, run in enumerate(others[at : at + seeds]))]
        for at in range(0, min(len(own), len(others)) - seeds + 1, seeds)
    ]  # fmt: skip


def gain_of(sweep: list[Run]) -> Comparison:
    """Return Δm of the second setting over the first."""
    (found,) = [answer.gain for answer in judge(sweep, NAMES[0]).answers if answer.gain is not None]
    return found


def power(sweeps: Sequence[list[Run]]) -> str:
    """Return in words how often the difference is found, and how large it is."""
    found = [gain_of(sweep) for sweep in sweeps]
    gains = [each.difference.mean for each in found if each.difference is not None]
    mean, spread = statistics.fmean(gains), statistics.stdev(gains)
    words = [each.word for each in found]
    right, other = (BETTER, WORSE) if mean > 0 else (WORSE, BETTER)
    shares = ", ".join(f"{word} {100 * words.count(word) / len(words):.1f} %" for word in (right, other, UNKNOWN))
    return f"{len(sweeps)} sweeps, Δm {mean:+.2f} % with a deviation of {spread:.2f} between sweeps: {shares}"


def train(directory: Path, seed: int, words: Sequence[str]) -> None:
    """Train one run, where it is missing."""
    if not (directory / "summary.json").exists():
        with contextlib.redirect_stdout(io.StringIO()):
            cli.main([*SMALL, *words, f"seed={seed}", "trainer.threads=1", f"hydra.run.dir={directory}"])


def runs_of(folder: Path, seeds: range, words: Sequence[str], jobs: int) -> list[Run]:
    """Return the complete runs of some seeds, those that are missing trained by `jobs` processes."""
    wanted = [(folder / f"{seed:05d}", seed, words) for seed in seeds]
    if jobs == 1:
        for each in wanted:
            train(*each)
    else:
        with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
            list(pool.map(train, *zip(*wanted, strict=True)))
    runs = {run.path.name: run for run in find_runs([folder]) if run.completed}
    return [runs[path.name] for path, _, _ in wanted if path.name in runs]


def main() -> None:
    """Run what is missing and print the share of wrong sweeps, or of planted differences that are found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sweeps", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=1, help="processes that train runs")
    parser.add_argument("--planted", help="override of the second setting of each sweep")
    parser.add_argument("--output", type=Path, default=Path("runs/same_settings"))
    chosen = parser.parse_args()
    number, same = chosen.seeds * chosen.sweeps, chosen.output / "same"
    if chosen.planted:
        first = runs_of(same, range(number), (), chosen.jobs)
        folder = chosen.output / chosen.planted.replace("=", "_").replace("/", "_")
        second = runs_of(folder, range(number, 2 * number), [chosen.planted], chosen.jobs)
        print(f"planted {chosen.planted}: {power(planted(first, second, chosen.seeds))}")
        return
    sweeps = sweeps_of(runs_of(same, range(2 * number), (), chosen.jobs), chosen.seeds)
    count = sum(map(wrong, sweeps))
    print(f"{count} of {len(sweeps)} sweeps have a wrong verdict: {100 * count / max(1, len(sweeps)):.1f} %")


if __name__ == "__main__":
    main()
