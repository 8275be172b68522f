"""The tables of a sweep: summary.csv with one row per job, and means over seeds or folds."""

import csv
import io
import logging
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mtl_cli.errors import UserError
from mtl_cli.files import read_json, write_text
from mtl_cli.report.tables import duration, fitted, number, terminal_width

logger = logging.getLogger("mtl_cli")
REPEATED = ("seed", "data.fold", "data.inner_fold")
"""Keys whose values are repetitions of one experiment: means are taken over them."""
ELSEWHERE = "running elsewhere"
"""What became of a job in whose directory another process works."""
METRICS_SHOWN = 8
"""Test metrics in a printed table; summary.csv has all."""


@dataclass(frozen=True)
class SweepRow:
    """What is known of one job of a sweep."""

    swept: Mapping[str, str]
    directory: Path
    status: str
    reason: str = ""
    metric: str = ""
    score: float = math.nan
    lower_is_better: bool = False
    seconds: float = math.nan
    val: Mapping[str, float] = field(default_factory=dict)
    test: Mapping[str, float] = field(default_factory=dict)


def row(directory: Path, swept: Mapping[str, str], failure: str = "") -> SweepRow:
    """Return the row of the job in `directory`, from its status and summary; `failure` says why it has none."""
    state = read_json(directory / "status.json")
    status = str(state.get("status") or "pending")
    if failure == ELSEWHERE:
        return SweepRow(swept, directory, ELSEWHERE, f"Another process works in {directory}.")
    if failure or status != "completed":
        status = "failed" if failure else status
        return SweepRow(swept, directory, status, failure or str(state.get("reason") or ""))
    summary = read_json(directory / "summary.json")
    selection = summary.get("selection") or {}
    return SweepRow(
        swept,
        directory,
        status,
        metric=str(selection.get("metric", "")),
        score=_number(selection.get("best")),
        lower_is_better=bool(selection.get("lower_is_better", False)),
        seconds=_number(summary.get("seconds")),
        val={name: _number(value) for name, value in (summary.get("best_val") or {}).items()},
        test={name: _number(value) for name, value in (summary.get("test") or {}).items()},
    )


def report(directory: Path, rows: Sequence[SweepRow]) -> list[SweepRow]:
    """Write summary.csv, print the tables, and return the rows, best first.

    Raises:
        UserError: the file cannot be written.
    """
    rows = ranked(rows)
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"Cannot make {directory}: {error}. Give one that can be written: hydra.sweep.dir=DIR."
        ) from error
    write_text(directory / "summary.csv", to_csv(rows))
    logger.warning("\n%s", job_table(rows))
    if any(key in item.swept for item in rows for key in REPEATED if item.status == "completed"):
        logger.warning("\n%s", mean_table(rows))
    for item in rows:
        if item.reason and item.status != "completed":
            logger.warning("%s, %s: %s", _title(item), item.status, item.reason)
    logger.info("All of it is in %s", directory / "summary.csv")
    return rows


def ranked(rows: Sequence[SweepRow]) -> list[SweepRow]:
    """Return rows, best selection score first; those without one last, in their order."""

    def rank(item: SweepRow) -> tuple[bool, float]:
        missing = math.isnan(item.score)
        return missing, 0.0 if missing else item.score if item.lower_is_better else -item.score

    return sorted(rows, key=rank)


def to_csv(rows: Sequence[SweepRow]) -> str:
    """Return one line per job: swept values, selection score, every metric on val and test, status, time, directory."""
    keys = names(item.swept for item in rows)
    val, test = names(item.val for item in rows), names(item.test for item in rows)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    head = ["selection", *[f"val/{name}" for name in val], *[f"test/{name}" for name in test]]
    writer.writerow([*keys, *head, "status", "seconds", "directory", "reason"])
    for item in rows:
        values = [item.score, *[item.val.get(name) for name in val], *[item.test.get(name) for name in test]]
        writer.writerow(
            [
                *[item.swept.get(key, "") for key in keys],
                *["" if value is None or math.isnan(value) else repr(value) for value in values],
                *[item.status, "" if math.isnan(item.seconds) else round(item.seconds, 3), item.directory, item.reason],
            ]
        )
    return out.getvalue()


def job_table(rows: Sequence[SweepRow]) -> str:
    """Return one row per job: swept values, selection score, test metrics, status, time, directory."""
    keys, metrics = names(item.swept for item in rows), shown_metrics(rows)
    lines = [
        [*(keys or ["job"]), _score_name(rows), *[f"test {name}" for name in metrics], "status", "time", "directory"]
    ]
    for item in rows:
        values = [number(item.score), *[number(item.test.get(name)) for name in metrics]]
        time = "–" if math.isnan(item.seconds) else duration(item.seconds)
        swept = [item.swept.get(key, "") for key in keys] or ["1"]
        lines.append([*swept, *values, item.status, time, item.directory.name])
    return fitted(lines, terminal_width(), note="columns left out: {}; summary.csv has them")


def mean_table(rows: Sequence[SweepRow]) -> str:
    """Return mean ± standard deviation of the complete jobs over seeds or folds, by the other swept values."""
    keys = [key for key in names(item.swept for item in rows) if key not in REPEATED]
    metrics = shown_metrics(rows)
    groups: dict[tuple[str, ...], list[SweepRow]] = {}
    for item in rows:
        if item.status == "completed":
            groups.setdefault(tuple(item.swept.get(key, "") for key in keys), []).append(item)
    over = ", ".join(key for key in REPEATED if any(key in item.swept for item in rows))
    lines = [[*(keys or [f"mean ± std over {over}"]), "jobs", _score_name(rows), *[f"test {name}" for name in metrics]]]
    sign = -1.0 if any(item.lower_is_better for item in rows) else 1.0
    for group, items in sorted(groups.items(), key=lambda pair: -sign * _mean([item.score for item in pair[1]])):
        columns = [
            [item.score for item in items],
            *[[item.test.get(name, math.nan) for item in items] for name in metrics],
        ]
        lines.append([*(group or ("all",)), str(len(items)), *[mean_and_spread(values) for values in columns]])
    title = f"mean ± standard deviation over {over}\n" if keys else ""
    return title + fitted(lines, terminal_width(), note="columns left out: {}; summary.csv has them")


def mean_and_spread(values: Sequence[float]) -> str:
    """Return the mean ± the standard deviation (n − 1 in its denominator; none for one value)."""
    if any(math.isnan(value) for value in values):
        return "–"
    return f"{_mean(values):.4f}" + (f" ± {statistics.stdev(values):.4f}" if len(values) > 1 else "")


def shown_metrics(rows: Sequence[SweepRow]) -> list[str]:
    """Return the test metrics that a printed table has: no losses, and not too many."""
    found = [name for name in names(item.test for item in rows) if not name.endswith("/loss")]
    tasks = list(dict.fromkeys(name.partition("/")[0] for name in found))
    if len(found) <= METRICS_SHOWN:
        return found
    return [next(name for name in found if name.startswith(f"{task}/")) for task in tasks][:METRICS_SHOWN]


def names(mappings: Any) -> list[str]:  # noqa: ANN401  an iterable of mappings
    """Return the keys of all mappings, each once, in order."""
    return list(dict.fromkeys(name for mapping in mappings for name in mapping))


def _title(item: SweepRow) -> str:
    return " ".join(f"{key}={value}" for key, value in item.swept.items()) or str(item.directory)


def _score_name(rows: Sequence[SweepRow]) -> str:
    return f"val {next((item.metric for item in rows if item.metric), 'score')}"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else math.nan
