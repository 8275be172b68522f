"""The table of a leaderboard: what the runs of each method say beside independent networks and tuned fixed weights."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from mtl_cli.answers.comparison import Answer
from mtl_cli.answers.runs import find_runs
from mtl_cli.answers.verdict import judge
from mtl_cli.answers.words import change, spread, verdict_of
from mtl_cli.files import write_text

INDEPENDENT, SCALARIZATION = "independent", "scalarization"


def table(sweeps: Mapping[str, Path]) -> list[list[str]]:
    """Return the table of a set, its head first: best Δm over independent networks first."""
    found = {method: find_runs([sweep]) for method, sweep in sweeps.items() if sweep.exists()}
    runs = [run for own in found.values() for run in own]
    methods = {run.path: method for method, own in found.items() for run in own}

    def by_method(baseline: str) -> dict[str, Answer]:
        place = str(sweeps[baseline]) if baseline in found else None
        answers = judge(runs, place).answers if place or not baseline else ()
        return {methods[answer.setting.first.path]: answer for answer in answers}

    gains, tuned = by_method(INDEPENDENT), by_method(SCALARIZATION)
    primary = {
        task: facts["metric"] for task, facts in next(run for run in runs if run.completed).summary["primary"].items()
    }
    first = gains or tuned or by_method("")
    lower = {name for run in runs for name in run.lower}
    names = [f"{task}/{metric}" for task, metric in primary.items()]
    lines = [
        ["method", "rate", "weights", *[f"{name}{' (low)' if name in lower else ''}" for name in names],
         f"Δm over {INDEPENDENT}", f"against {SCALARIZATION}", "runs"]
    ]  # fmt: skip
    for method, answer in sorted(first.items(), key=lambda item: (-_mean(item[1]), item[0])):
        own = {each.metric: each.own for each in answer.metrics}
        config = answer.setting.values
        weights = [f"{float(config.get(f'tasks.{task}.weight', 1)):.2f}" for task in primary]
        lines.append([
            method, config["optimizer.lr"], " ".join(weights) if method == SCALARIZATION else "",
            *[spread(own.get(name)) for name in names],
            _change(gains.get(method)), _verdict(tuned.get(method)), str(len(answer.setting.runs)),
        ])  # fmt: skip
    return lines


def _mean(answer: Answer) -> float:
    return answer.gain.difference.mean if answer.gain and answer.gain.difference else 0.0


def _change(answer: Answer | None) -> str:
    return change(answer.gain) if answer and answer.gain else "–"


def _verdict(answer: Answer | None) -> str:
    return f"{verdict_of(answer.gain)}, {change(answer.gain)}" if answer and answer.gain else "–"


def write(name: str, sweeps: Mapping[str, Path], folder: Path) -> str:
    """Write the table of a set as Markdown and CSV; return the former."""
    lines = table(sweeps)
    rows = [f"| {' | '.join(line)} |" for line in lines]
    text = "\n".join([rows[0], "| --- " * len(lines[0]) + "|", *rows[1:]]) + "\n"
    write_text(folder / f"{name}.md", text)
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(lines)
    write_text(folder / f"{name}.csv", out.getvalue())
    return text
