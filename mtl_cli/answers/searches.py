"""Searches: what the search.json of a directory says, and its figures."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtl_cli.files import read_json

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FILE = "search.json"
TRIALS, FRONT = "trials", "pareto"
"""Names of the figures."""


@dataclass(frozen=True)
class Trial:
    """One trial: what was tried, its score (higher is better), and the tasks' metrics where it is complete."""

    number: int
    state: str
    score: float
    values: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Search:
    """A search that has ended."""

    kind: str
    trials: Sequence[Trial]
    lower: Sequence[str]
    """Metrics that are better when lower."""
    front: Sequence[int]
    winner: int
    best: Mapping[str, str]
    """Overrides of the winner."""
    run: Path
    """Directory of the winner's run, or of the first of them."""
    retrained: Path | None
    """Directory of the winner's run on training and validation rows."""

    def sentence(self) -> str:
        """Return how many trials there were, and which of them won."""
        states = [each.state for each in self.trials]
        counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
        best = " ".join(f"{key}={value}" for key, value in self.best.items())
        score = next(each.score for each in self.trials if each.number == self.winner)
        found = f"trial {self.winner} won with {best}, score {score:.4f} on validation data"
        again = f" {self.retrained} is the winner on training and validation rows." if self.retrained else ""
        return f"search={self.kind} of {len(states)} trials ({counts}): {found}.{again}"

    def figures(self) -> dict[str, "Figure"]:
        """Return the trials with what was tried, and the trade-offs between tasks where there are several."""
        from mtl_cli.report.pareto import pareto_figure
        from mtl_cli.report.trials import ShownTrial, trials_figure

        shown = [
            ShownTrial(each.number, each.values, each.score, each.state == "complete")
            for each in self.trials
            if not math.isnan(each.score)
        ]
        found = {TRIALS: trials_figure(shown, self.winner, "selection score, higher is better")}
        names = next((list(each.metrics) for each in self.trials if each.number == self.winner), [])
        if len(names) > 1:
            labels = {name: name + " (lower is better)" * (name in self.lower) for name in names}
            points = {each.number: list(each.metrics.values()) for each in self.trials if each.metrics}
            found[FRONT] = pareto_figure(labels, points, self.front, self.winner)
        return found


def read_search(folder: Path) -> Search | None:
    """Return the search that a directory holds; None where there is none, or one of an older version."""
    record = read_json(folder / FILE)
    try:
        winner = record["winner"]
        trials = [_trial(each) for each in record["trials"] if each["state"] in ("complete", "pruned")]
        found = Search(
            kind=str(record["search"]),
            trials=trials,
            lower=list(map(str, record["lower_is_better"])),
            front=[int(each) for each in record["pareto_front"]],
            winner=int(winner["number"]),
            best=_texts(winner["overrides"]),
            run=_below(folder, winner["runs"][0]),
            retrained=_below(folder, record["retrained"]) if record.get("retrained") else None,
        )
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        return None
    return found if any(each.number == found.winner for each in trials) else None


def _trial(node: Mapping[str, Any]) -> Trial:
    metrics = {str(name): _number(value) for name, value in node["metrics"].items()}
    return Trial(int(node["number"]), str(node["state"]), _number(node["score"]), _texts(node["overrides"]), metrics)


def _below(folder: Path, path: Any) -> Path:  # noqa: ANN401  any JSON value
    """Return a run below the directory of its search; a file that leads elsewhere is not one of a search."""
    place = Path(str(path))
    if place.is_absolute() or ".." in place.parts:
        raise ValueError(path)
    return folder / place


def _number(value: Any) -> float:  # noqa: ANN401  any JSON value
    return math.nan if value is None else float(value)


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {str(key): str(value) for key, value in values.items()}
