"""What is said of a search at its end: the table of its runs, the Pareto front, and the trial that wins."""

import dataclasses
import logging
import math
from collections.abc import Sequence
from pathlib import Path

from mtl_cli.commands.search.candidates import Candidate, candidate_of, choose, pareto_front
from mtl_cli.commands.search.ledger import Entry
from mtl_cli.commands.search.options import PREFERENCE, WORST_TASK, SearchOptions
from mtl_cli.commands.search.record import record
from mtl_cli.commands.search.space import Space
from mtl_cli.commands.search.trial import title
from mtl_cli.commands.sweeps.table import SweepRow, row
from mtl_cli.commands.sweeps.table import report as report_rows
from mtl_cli.errors import EXIT_DONE, EXIT_FAILURE
from mtl_cli.report.tables import number, table

logger = logging.getLogger("mtl_cli")


def report(
    directory: Path, entries: Sequence[Entry], space: Space, options: SearchOptions
) -> tuple[int, Candidate | None]:
    """Write and print what the trials have shown; return the exit code, and the winner where there is one."""
    rows = {item.directory: item for entry in entries for item in rows_of(directory, entry, space)}
    report_rows(directory, list(rows.values()))
    states = [entry.state for entry in entries]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    logger.info("%d trials: %s", len(entries), counts)
    candidates = [candidate_of(directory, entry, space) for entry in entries if entry.state == "complete"]
    if "running" in states:
        logger.warning("Other processes still work at trials. The last one to end tells the winner.")
        return EXIT_DONE, None
    if not candidates:
        logger.warning("No trial is complete, so none wins.")
        return EXIT_FAILURE, None
    front, winner = pareto_front(candidates), choose(candidates, options)
    record(directory, entries, candidates, front, winner, options, space)
    if winner.tasks:
        logger.warning("\n%s", front_table(candidates, front, winner))
    logger.warning("The winner is trial %d: %s (%s)", winner.number, title(winner.values), reason_of(options))
    if not options.retrain and len(winner.runs) == 1:
        logger.warning("Its test split was not looked at yet: mtl-eval checkpoint=%s", winner.runs[0])
    elif not options.retrain:
        logger.warning("The same command with search.retrain=true trains it on all folds, and tests it.")
    return (EXIT_FAILURE if "failed" in states else EXIT_DONE), winner


def rows_of(directory: Path, entry: Entry, space: Space) -> list[SweepRow]:
    """Return the rows of a trial's runs."""
    if not entry.runs:
        values = {key.lstrip("+"): value for key, value in space.values(entry.point).items()}
        return [SweepRow(values, directory / f"trial {entry.number}", entry.state, entry.reason)]
    rows = []
    for name, swept in entry.runs.items():
        found = row(directory / name, swept)
        lost = entry.state == "failed" and (found.status != "completed" or math.isnan(found.score))
        rows.append(dataclasses.replace(found, status="failed", reason=entry.reason) if lost else found)
    return rows


def reason_of(options: SearchOptions) -> str:
    """Return in words by what the winner is chosen."""
    if options.choose == WORST_TASK:
        return "the gain of its worst task is the highest"
    if options.choose == PREFERENCE:
        return f"its gains weighted by {options.preference} are the highest"
    return "its selection score on validation data is the best"


def front_table(candidates: Sequence[Candidate], front: Sequence[int], winner: Candidate) -> str:
    """Return the trials on the front, and the winner, with the metrics of their tasks."""
    shown = [each for each in candidates if each.number in front or each is winner]
    names, keys = list(winner.tasks), [key.lstrip("+") for key in winner.values]
    lines = [["Pareto front", *keys, *[f"val {name}/{winner.tasks[name].metric}" for name in names]]]
    for each in sorted(shown, key=lambda each: [-task.score for task in each.tasks.values()]):
        mark = f"trial {each.number}{' *' if each is winner else ''}"
        lines.append([mark, *each.values.values(), *[number(each.tasks[name].value) for name in names]])
    return table(lines) + "\n* the winner"
