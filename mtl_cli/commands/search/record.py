"""What a search leaves beside its runs: search.json, pareto.csv and two figures."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from mtl_cli.answers.searches import FILE, read_search
from mtl_cli.commands.search.candidates import Candidate
from mtl_cli.commands.search.ledger import Entry
from mtl_cli.commands.search.options import SearchOptions
from mtl_cli.commands.search.space import Space
from mtl_cli.files import write_json, write_text


def record(
    directory: Path,
    entries: Sequence[Entry],
    candidates: Sequence[Candidate],
    front: Sequence[int],
    winner: Candidate,
    options: SearchOptions,
    space: Space,
) -> None:
    """Write search.json, pareto.csv, trials.png, and pareto.png where there are several tasks."""
    from mtl_cli.report.drawing import write

    write_text(directory / "pareto.csv", to_csv(candidates, front, winner))
    gains = {name: task.gain for name, task in winner.tasks.items()}
    known = {each.number: each for each in candidates}
    write_json(
        directory / FILE,
        {
            "search": options.kind,
            "choose": options.choose,
            "trials": [told_of(each, space, known.get(each.number)) for each in entries],
            "lower_is_better": [f"{name}/{task.metric}" for name, task in winner.tasks.items() if task.lower_is_better],
            "pareto_front": list(front),
            "winner": {
                "number": winner.number,
                "overrides": plain(winner.values),
                "score": winner.score,
                "gains": gains,
                "runs": [str(run.relative_to(directory)) for run in winner.runs],
            },
        },
    )
    found = read_search(directory)
    assert found is not None
    for name, figure in found.figures().items():
        write(figure, directory / f"{name}.png")


def told_of(entry: Entry, space: Space, candidate: Candidate | None) -> dict[str, object]:
    """Return what search.json says of a trial."""
    tasks = candidate.tasks if candidate else {}
    return {
        "number": entry.number,
        "state": entry.state,
        "score": entry.score,
        "overrides": plain(space.values(entry.point)),
        "metrics": {f"{name}/{task.metric}": task.value for name, task in tasks.items()},
    }


def plain(values: Mapping[str, str]) -> dict[str, str]:
    """Return values by key without the signs of overrides."""
    return {key.lstrip("+"): value for key, value in values.items()}


def to_csv(candidates: Sequence[Candidate], front: Sequence[int], winner: Candidate) -> str:
    """Return one line per complete trial: its values, the tasks' metrics and gains, and whether it is on the front."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    tasks = [f"{name}/{score.metric}" for name, score in winner.tasks.items()]
    head = [*[f"val/{name}" for name in tasks], *[f"gain/{name}" for name in winner.tasks]]
    writer.writerow(["trial", *plain(winner.values), "score", *head, "front", "winner"])
    for each in candidates:
        scores = [*[task.value for task in each.tasks.values()], *[task.gain for task in each.tasks.values()]]
        numbers = ["" if math.isnan(score) else score for score in scores]
        marks = [str(each.number in front).lower(), str(each is winner).lower()]
        writer.writerow([each.number, *each.values.values(), each.score, *numbers, *marks])
    return out.getvalue()
