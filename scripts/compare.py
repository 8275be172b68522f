"""Trains every sharing mode or every weighting for a short while and prints one Markdown table.

    python scripts/compare.py sharing   [--task mnist_digits+letters] [--epochs 1] [--seeds 0,1,2] [--output DIR]
    python scripts/compare.py weighting [--task multi_mnist_left+multi_mnist_right] [--epochs 5]

The runs are sweeps of mtl-train in DIR, so that a second call continues where the first stopped. Means ± standard
deviations are over the seeds. A value is set apart from the first row's ("hard", "fixed") only where the intervals do
not overlap. Δm is the mean relative gain in accuracy over networks trained alone (Maninis et al., CVPR 2019), in
percent, higher is better. Gradient weightings run with weighting.match_norm=sum: the update has the norm of the plain
sum of gradients, so that one learning rate serves all methods.
"""

import argparse
import csv
import json
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from measuring import make_job, plain_steps

from mtl_cli import cli
from mtl_cli.config.shipped import conf_dir
from mtl_cli.report.tables import count

FIRST = {"sharing": "hard", "weighting": "fixed"}


@dataclass(frozen=True)
class Row:
    """What a row of the table is made from: the summaries of an option's runs, by seed."""

    name: str
    runs: list[dict[str, Any]]

    def values(self, key: str) -> list[float]:
        """Return a test metric of every run."""
        return [run["test"][key] for run in self.runs]


def sweep(folder: Path, overrides: Sequence[str]) -> list[tuple[Mapping[str, str], dict[str, Any]]]:
    """Run mtl-train -m in `folder`; return what was swept and the summary of every job that is complete."""
    cli.main(["-m", *overrides, f"hydra.sweep.dir={folder}", "quiet=true"])
    with (folder / "summary.csv").open(newline="") as file:
        lines = [line for line in csv.DictReader(file) if line["status"] == "completed"]
    return [(line, json.loads((Path(line["directory"]) / "summary.json").read_text())) for line in lines]


def options(group: str) -> list[str]:
    """Return the options of a conf group, the one that others are compared with first."""
    names = sorted(path.stem for path in Path(conf_dir(), group).glob("*.yaml"))
    return [FIRST[group], *[name for name in names if name != FIRST[group]]]


def run_options(group: str, common: Sequence[str], seeds: str, folder: Path) -> list[Row]:
    """Return a row for every option of a group; those that run with the same overrides are one sweep."""
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in options(group)}
    first = common[0].removeprefix("task=").partition("+")[0]
    for extra in dict.fromkeys(overrides_of(group, name, first) for name in rows):
        names = [name for name in rows if overrides_of(group, name, first) == extra]
        overrides = [*common, f"{group}={','.join(names)}", *extra, f"seed={seeds}"]
        for line, run in sweep(folder / "_".join([names[0], f"{len(names)}"]), overrides):
            rows[line.get(group, names[0])].append(run)
    return [Row(name, runs) for name, runs in rows.items()]


def overrides_of(group: str, option: str, first: str) -> tuple[str, ...]:
    """Return what an option runs with: a matched norm where it has one; the first task, low, where it wants one."""
    node = yaml.safe_load(Path(conf_dir(), group, f"{option}.yaml").read_text())
    matched = [f"{group}.match_norm=sum"] if "match_norm" in node else []
    wanted = {"attach": f"{{{first}: 1}}", "primary": first}
    return (*matched, *[f"{group}.{key}={wanted[key]}" for key, value in node.items() if value == "???"])


def run_alone(task: str, common: Sequence[str], seeds: str, folder: Path) -> dict[str, float]:
    """Return each task's mean test accuracy when it is trained alone, by the same command."""
    accuracy = {}
    for name in task.split("+"):
        found = sweep(folder / f"alone_{name}", [*common, f"task={name}", f"seed={seeds}"])
        accuracy[name] = statistics.mean(run["test"][f"{name}/accuracy"] for _, run in found)
    return accuracy


def cell(values: Sequence[float], reference: Sequence[float], digits: int = 2) -> str:
    """Return mean ± std; an arrow where its interval lies above or below the reference's, else nothing."""
    mean, spread = statistics.mean(values), statistics.stdev(values) if len(values) > 1 else 0.0
    text = f"{mean:.{digits}f} ± {spread:.{digits}f}" if len(values) > 1 else f"{mean:.{digits}f} (one seed)"
    if len(values) < 2 or len(reference) < 2 or values is reference:
        return text
    other, width = statistics.mean(reference), statistics.stdev(reference)
    if abs(mean - other) > spread + width:
        return f"{text} {'↑' if mean > other else '↓'}"
    return text


def print_table(
    group: str, task: str, rows: Sequence[Row], alone: Mapping[str, float], times: Mapping[str, float]
) -> str:
    """Return the Markdown table."""
    names = task.split("+")
    head = [
        group,
        *[f"{name}, accuracy %" for name in names],
        "Δm %",
        "parameters",
        "shared",
        "MFLOPs",
        "time of a step",
    ]
    lines = [f"| {' | '.join(head)} |", f"| {' | '.join('---' for _ in head)} |"]
    first = rows[0]
    for row in (row for row in rows if row.runs):
        cells = []
        for name in names:
            key = f"{name}/accuracy"
            reference = [100 * value for value in first.values(key)]
            values = reference if row is first else [100 * value for value in row.values(key)]
            cells.append(cell(values, reference))
        gains = [gain(run, alone) for run in row.runs]
        cells.append(cell(gains, [gain(run, alone) for run in first.runs] if row is not first else gains))
        run = row.runs[0]
        cells += [count(run["parameters"]["total"]), count(run["parameters"]["shared"])]
        cells += [f"{run['flops']['total'] / 1e6:.1f}", f"{times[row.name]:.2f} ×"]
        lines.append(f"| `{row.name}` | {' | '.join(cells)} |")
    baseline = ", ".join(f"{name} {100 * value:.2f}" for name, value in alone.items())
    lines.append(f"\nAlone: {baseline}. ↑ ↓: mean ± std does not overlap that of `{first.name}`; else no difference.")
    return "\n".join(lines)


def gain(run: Mapping[str, Any], alone: Mapping[str, float]) -> float:
    """Return Δm of one run in percent, on accuracy."""
    gains = [(run["test"][f"{name}/accuracy"] - value) / value for name, value in alone.items()]
    return 100 * statistics.mean(gains)


def step_times(group: str, names: Sequence[str], common: Sequence[str], windows: int = 9) -> dict[str, float]:
    """Return the time of a training step by option, in that of the first: medians over short windows, all in turn."""
    steppers = {}
    task = common[0].removeprefix("task=").partition("+")[0]
    for name in names:
        job, _ = make_job([*common, f"{group}={name}", *overrides_of(group, name, task)])
        steppers[name] = plain_steps(job)
    taken: dict[str, list[float]] = {name: [] for name in names}
    for window in range(windows + 1):
        for name, stepper in steppers.items():
            start = time.perf_counter()
            stepper(5)
            if window > 0:
                taken[name].append(time.perf_counter() - start)
    first = taken[names[0]]
    return {
        name: statistics.median(own / other for own, other in zip(values, first, strict=True))
        for name, values in taken.items()
    }


def parser_of(text: str | None, task: str, epochs: int, groups: Sequence[str] = ()) -> argparse.ArgumentParser:
    """Return a parser of what every comparison takes, with its defaults; with `groups`, one of them comes first."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    if groups:
        parser.add_argument("group", choices=groups)
    parser.add_argument("--task", default=task)
    parser.add_argument("--epochs", type=int, default=epochs)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--output", type=Path, default=Path("runs/compare"))
    parser.add_argument("overrides", nargs="*", help="further overrides of every run")
    return parser


def main() -> None:
    """Run the sweeps and print the table."""
    groups = ["sharing", "weighting"]
    chosen = parser_of(__doc__, "multi_mnist_left+multi_mnist_right", 1, groups).parse_intermixed_args()
    folder = chosen.output / f"{chosen.group}_{chosen.task}_{chosen.epochs}"
    plain = [f"trainer.max_epochs={chosen.epochs}", *chosen.overrides]
    alone = run_alone(chosen.task, plain, chosen.seeds, folder)
    rows = run_options(chosen.group, [f"task={chosen.task}", *plain], chosen.seeds, folder)
    times = step_times(chosen.group, [row.name for row in rows if row.runs], [f"task={chosen.task}", *plain])
    table = print_table(chosen.group, chosen.task, rows, alone, times)
    (folder / "table.md").write_text(table + "\n")
    print(table)


if __name__ == "__main__":
    main()
