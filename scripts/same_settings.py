"""Counts how often sweeps without any difference are said to have one: two names for one setting, real short runs.

    python scripts/same_settings.py [--sweeps 200] [--seeds 3] [--output runs/same_settings]

Each sweep compares two settings that are the same program with other seeds; the seeds are then renamed, so that runs
are paired as in any sweep. The rule of mtl-report is made for at most 5 % of such sweeps with a wrong "better" or
"worse". A second call goes on with the runs that are there: one takes half a CPU-second, 200 sweeps 1,200 runs.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from mtl_cli import cli
from mtl_cli.answers.inference import Unit
from mtl_cli.answers.runs import Run, find_runs
from mtl_cli.answers.verdict import BETTER, WORSE, judge

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


def main() -> None:
    """Run what is missing and print the share of wrong sweeps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sweeps", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--output", type=Path, default=Path("runs/same_settings"))
    chosen = parser.parse_args()
    for number in range(2 * chosen.seeds * chosen.sweeps):
        directory = chosen.output / f"{number:05d}"
        if not (directory / "summary.json").exists():
            cli.main([*SMALL, f"seed={number}", f"hydra.run.dir={directory}"])
    runs = sorted(find_runs([chosen.output]), key=lambda run: run.path.name)
    sweeps = sweeps_of([run for run in runs if run.completed], chosen.seeds)[: chosen.sweeps]
    count = sum(map(wrong, sweeps))
    print(f"{count} of {len(sweeps)} sweeps have a wrong verdict: {100 * count / max(1, len(sweeps)):.1f} %")


if __name__ == "__main__":
    main()
