"""One joint run in which affinities are measured, and everything that is written about it."""

import csv
import io
import logging
import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from mtl_cli.affinity.continuing import RESULT, RUN, STEPS, append, begin, line_of, measured_before
from mtl_cli.affinity.grouping import MOST_EXACT, Grouping, best_groupings
from mtl_cli.affinity.labels import LabelPair, label_pairs
from mtl_cli.affinity.probe import AffinityProbe, Matrix
from mtl_cli.config.run_config import checked, config_hash
from mtl_cli.config.targets import Trust
from mtl_cli.errors import UserError, some
from mtl_cli.files import make_folder, write_json, write_text
from mtl_cli.privacy.budget import Budget
from mtl_cli.report.curves import lines_figure, lowest
from mtl_cli.report.drawing import write
from mtl_cli.report.heat_map import heat_map_figure
from mtl_cli.report.tables import number, table
from mtl_cli.runs.build import Built, build
from mtl_cli.runs.environment import environment
from mtl_cli.runs.execution import execute
from mtl_cli.runs.run import start_weights
from mtl_cli.storage.directory import RunDirectory
from mtl_cli.training.arithmetic import torch_settings
from mtl_cli.training.job import restore

logger = logging.getLogger("mtl_cli")
MAX_SHOWN = 24
"""Number of tasks up to which matrices are printed and drawn."""
SHOWN_PAIRS = 40
"""Pairs of labels that are printed; all are written."""
MOST = 64
"""Number of tasks that are compared unless more are asked for."""


@dataclass(frozen=True)
class Wanted:
    """What is asked for: groups for a budget, steps between measurements, and the most tasks that are compared."""

    budget: int | None
    every: int
    most: int = MOST


def measure(
    config: Mapping[str, Any],
    output: Path,
    wanted: Wanted,
    words: Sequence[str],
    folders: Sequence[Path] = (),
) -> dict[str, Any]:
    """Train all tasks of a config together in `output`/run, measure, and write what follows; return groups.json.

    `words` are the overrides that made the config, for the commands that are printed.

    Raises:
        UserError: the config or data is wrong, there are no two tasks that share parameters, or `output` is in use.
        RunFailure: training cannot go on.
        Interrupted: a signal asked to stop; the same command goes on from the last checkpoint.
    """
    resolved = checked(dict(config), folders)
    if Budget.of(resolved) is not None:
        raise UserError("What tasks do to each other is measured without noise, so nothing would be private. "
                        "Leave out privacy.epsilon, privacy.noise and privacy.delta.")  # fmt: skip
    command = ["mtl-affinity", *words, f"output={output}", f"every={wanted.every}"]
    command += [] if wanted.budget is None else [f"budget={wanted.budget}"]
    command += [] if wanted.most == MOST else [f"most={wanted.most}"]
    with torch_settings(resolved):
        trust = Trust(tuple(config["trust"]), tuple(folders))
        built = build(resolved, trust, start=start_weights(resolved))
        job, tasks = built.job, list(built.job.learner.tasks)
        check(built, tasks, wanted)
        state = begin(output, {"config": config_hash(config), "every": wanted.every})
        keep = partial(append, output / STEPS)
        probe = AffinityProbe(job.weighting, lambda: float(job.optimizer.param_groups[0]["lr"]), wanted.every, keep)
        if state is None:
            write_labels(output, label_pairs(built.data, job.learner.tasks))
            out = RunDirectory.create(output / RUN, config, config_hash(config))
        else:
            restore(job, state)
            for each in measured_before(output / STEPS, job.progress.step, wanted.every):
                probe.take_in(each)
            out = RunDirectory.reopen(output / RUN, config, state["config_hash"], state["metrics_length"])
            out.go_back(job.progress.step)
            out.take_up(job.progress.step, job.progress.best_step, job.progress.best_score)
            logger.info("Going on in %s after step %d.", output, job.progress.step)
        job.weighting = probe
        surroundings = environment(command, resolved, job.learner.arithmetic)
        execute(built, out, resolved, shlex.join(command), surroundings)
    return write_results(output, tasks, probe, wanted.budget, words)


def check(built: Built, tasks: Sequence[str], wanted: Wanted) -> None:
    """Refuse what cannot be measured.

    Raises:
        UserError: every reason.
    """
    problems = []
    if len(tasks) < 2:
        problems.append(f"mtl-affinity compares tasks, and there is only {some(tasks)}. Use task=A+B+C.")
    elif not built.job.learner.partition.shared:
        problems.append("No trained parameter is reached by two tasks, so none can help another. Use sharing=hard.")
    if len(tasks) > wanted.most:
        number = len(tasks)
        problems.append(
            f"There are {number} tasks, and at most {wanted.most} are compared: a measurement takes {number} passes "
            f"over the batch and gives {number * number:,} numbers. Leave out some by ~tasks.NAME (~tasks.{tasks[-1]}) "
            f"or compare all: most={number}."
        )
    if wanted.budget is not None and wanted.budget > len(tasks):
        problems.append(f"budget is {wanted.budget}, and there are {len(tasks)} tasks. Use budget={len(tasks)}.")
    if wanted.every > built.job.total_steps:
        problems.append(f"every is {wanted.every}, and the run has {built.job.total_steps} steps. Use every=1.")
    if problems:
        raise UserError(problems)


def write_results(
    output: Path, tasks: Sequence[str], probe: AffinityProbe, budget: int | None, words: Sequence[str]
) -> dict[str, Any]:
    """Write matrices, figures, groups and configs; print the groups; return what groups.json holds."""
    affinity, cosine = probe.affinity.means, probe.cosine.means
    groupings = best_groupings(affinity, min(len(tasks), MOST_EXACT) if budget is None else budget)
    chosen = groupings[-1 if budget is not None else min(2, len(groupings)) - 1]
    write_text(output / "affinity.csv", to_csv(tasks, affinity))
    write_text(output / "cosine.csv", to_csv(tasks, cosine))
    write_text(output / STEPS, "".join(map(line_of, probe.history)))
    draw(output, tasks, probe, chosen)
    record = {
        "tasks": list(tasks),
        "measured_steps": len(probe.history),
        "budget": len(groupings) if budget is not None else None,
        "groups": named(tasks, chosen),
        "exact": chosen.exact,
        "by_budget": [
            {"budget": most, "groups": named(tasks, each), "score": each.score}
            for most, each in enumerate(groupings, start=1)
        ],
    }
    kept = [word for word in words if not word.startswith(("sharing=", "sharing."))]
    for most, each in enumerate(groupings, start=1):
        write_config(output / "conf" / "experiment" / f"groups_{most}.yaml", named(tasks, each), kept)
    write_json(output / RESULT, record)
    show(output, tasks, affinity, groupings, kept)
    return record


def named(tasks: Sequence[str], grouping: Grouping) -> list[list[str]]:
    """Return the groups by the tasks' names."""
    return [[tasks[task] for task in group] for group in grouping.groups]


def to_csv(tasks: Sequence[str], matrix: Matrix) -> str:
    """Return a matrix with a row for each task, onto each column's task; empty where a pair was not measured."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["of", *tasks])
    for task, row in zip(tasks, matrix, strict=True):
        writer.writerow([task, *["" if math.isnan(value) else repr(value) for value in row]])
    return out.getvalue()


def write_labels(output: Path, pairs: Sequence[LabelPair]) -> None:
    """Write labels.csv and print the pairs, of many those whose labels tell most of each other."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["one", "other", "rows", "correlation", "bits", "share"])
    lines = [["labels of", "and", "rows with both", "correlation", "information shared"]]
    for each in pairs:
        found = each.found
        values = [found.correlation, found.bits, found.share]
        writer.writerow([each.one, each.other, found.rows, *["" if math.isnan(x) else x for x in values]])
    telling = sorted(pairs, key=lambda each: -math.inf if math.isnan(each.found.share) else each.found.share)
    shown = pairs if len(pairs) <= SHOWN_PAIRS else telling[: -SHOWN_PAIRS - 1 : -1]
    for each in shown:
        found = each.found
        lines.append([each.one, each.other, str(found.rows), number(found.correlation), number(found.share)])
    write_text(output / "labels.csv", out.getvalue())
    if pairs:
        more = len(pairs) - len(shown)
        logger.warning("%s%s", table(lines), f"\nand {more:,} more pairs, in labels.csv" if more else "")


def write_config(path: Path, groups: Sequence[Sequence[str]], words: Sequence[str]) -> None:
    """Write an experiment whose tasks share a trunk within their group."""
    make_folder(path.parent)
    body = yaml.safe_dump({"groups": [list(group) for group in groups]}, allow_unicode=True, width=110)
    indented = "".join(f"  {line}\n" for line in body.splitlines())
    head = f"# @package _global_\n# Groups of tasks that mtl-affinity found.\n# command: {train_command(path, words)}\n"
    write_text(path, f"{head}defaults:\n  - override /sharing: groups\nsharing:\n{indented}")


def train_command(path: Path, words: Sequence[str]) -> str:
    """Return the command that trains with an experiment in a folder of its own, beside the user's conf folder."""
    folder, chosen = path.parents[1], f"experiment={path.stem}"
    if "--config-dir" in words:
        return shlex.join(["mtl-train", *words, f"hydra.searchpath=[file://{folder.absolute()}]", chosen])
    return shlex.join(["mtl-train", "--config-dir", str(folder), *words, chosen])


def draw(output: Path, tasks: Sequence[str], probe: AffinityProbe, chosen: Grouping) -> None:
    """Draw the heat maps and the cosines over the steps."""
    if len(tasks) <= MAX_SHOWN:
        order = [task for group in chosen.groups for task in group]
        titles = {
            "affinity of a row onto a column": probe.affinity.means,
            "cosine of the gradients": probe.cosine.means,
        }
        panels = {title: [[matrix[i][j] for j in order] for i in order] for title, matrix in titles.items()}
        sizes = [len(group) for group in chosen.groups]
        write(heat_map_figure([tasks[task] for task in order], panels, sizes), output / "affinity.png")
    lines = {}
    for one in range(len(tasks)):
        for other in range(one + 1, len(tasks)):
            known = [(each.step, each.cosine[one][other]) for each in probe.history]
            known = [(step, value) for step, value in known if not math.isnan(value)]
            if known:
                steps, values = zip(*known, strict=True)
                lines[f"cosine/{tasks[one]}/{tasks[other]}"] = (list(map(float, steps)), list(values))
    if lines:
        figure = lines_figure(lowest(lines), "cosine of the tasks' gradients", "Cosines of the tasks' gradients")
        write(figure, output / "cosines.png")


def show(
    output: Path, tasks: Sequence[str], affinity: Matrix, groupings: Sequence[Grouping], words: Sequence[str]
) -> None:
    """Print the affinities, the groups, and the command that trains with them."""
    if len(tasks) <= MAX_SHOWN:
        rows = [["affinity of … onto", *tasks]]
        rows += [[task, *[scientific(value) for value in row]] for task, row in zip(tasks, affinity, strict=True)]
        logger.warning("\n%s", table(rows))
    lines = [["at most", "score", "groups"]]
    for most, each in enumerate(groupings, start=1):
        groups = " | ".join("+".join(group) for group in named(tasks, each))
        lines.append([f"{most} group{'s' * (most > 1)}", scientific(each.score), groups])
    exact = (
        "every partition was looked at" if groupings[0].exact else "found by merging and moving, not by exact search"
    )
    logger.warning("\n%s\n(%s)", table(lines), exact)
    path = output / "conf" / "experiment" / f"groups_{len(groupings)}.yaml"
    logger.warning("Train with the groups of a budget:\n  %s\nAll of it is in %s", train_command(path, words), output)


def scientific(value: float) -> str:
    """Return a small number with three digits."""
    return "–" if math.isnan(value) else f"{value:.2e}"
