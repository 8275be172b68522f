"""What `search=` and the keys below it say: how candidates are proposed, how many, and which one wins."""

import ast
import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtl_cli.commands.help import docstrings
from mtl_cli.config.annotations import problem, shown
from mtl_cli.config.schema import knob, knobs_of
from mtl_cli.errors import UserError, nearest

KINDS = ("grid", "random", "tpe", "scalarization")
MEAN_GAIN, WORST_TASK, PREFERENCE = "mean_gain", "worst_task", "preference"
DEFAULT_TRIALS = 30
WORD = "search"


@dataclass(frozen=True)
class SearchOptions:
    """The keys below `search`."""

    kind: str
    trials: int | None = knob(None, low=1, below=100_001)
    """Candidates that are tried; null = 30, and all of them in a grid."""
    metric: str | None = None
    """Validation metric that is searched for: skill or <task>/<metric>; null = selection.metric, which it sets."""
    log: bool = False
    """Search intervals on a logarithmic scale; tag(log,interval(a,b)) does so for one key."""
    points: int = knob(5, low=2, below=10_001)
    """Values of each interval in a grid."""
    seed: int = knob(0, low=0, below=2.0**63)
    """Seed of the proposals."""
    prune: bool | None = None
    """Stop trials that are worse than the median of the others; null = in all searches but a grid."""
    workers: int = knob(1, low=1, below=1025)
    """Processes that work at trials."""
    folds: int | None = knob(None, low=2)
    """Average every candidate over so many folds of training and validation rows; null = none."""
    retrain: bool = False
    """Train the winner on training and validation rows in the end."""
    choose: str = knob(MEAN_GAIN, choices=(MEAN_GAIN, WORST_TASK, PREFERENCE))
    """Which trial wins: by the metric, by the gain of its worst task, or by gains weighted by search.preference."""
    preference: list[float] | None = None
    """Weight of each task's gain for search.choose=preference, in the order of the tasks."""

    @property
    def pruning(self) -> bool:
        """Whether hopeless trials are stopped."""
        return self.kind != "grid" if self.prune is None else self.prune


def search_lines() -> list[tuple[str, str, str]]:
    """Return name, default and meaning of each key below `search`."""
    (node,) = [
        each for each in ast.parse(Path(__file__).read_text(encoding="utf-8")).body
        if isinstance(each, ast.ClassDef) and each.name == SearchOptions.__name__
    ]  # fmt: skip
    texts = docstrings(node)
    return [
        (key, shown(item.default), f"{texts[key]} It is {item.described}.")
        for key, item in knobs_of(SearchOptions).items()
        if key in texts
    ]


NOT_IDENTITY = ("trials", "workers", "choose", "preference", "retrain")
"""Keys that change neither the proposals nor what a trial is: a search goes on with others of them."""


def is_search_word(text: str) -> bool:
    """Return whether an override is about the search and not about the runs."""
    key = text.partition("=")[0].lstrip("+")
    return key == WORD or key.startswith(f"{WORD}.")


def read_options(overrides: Sequence[str]) -> SearchOptions:
    """Return what the words of a command line say about the search.

    Raises:
        UserError: every problem with them.
    """
    from mtl_cli.commands.overrides import parse_values  # Hydra, which explaining these keys does without

    values = parse_values([text for text in overrides if is_search_word(text)], "search=")
    if WORD not in values:
        given = ", ".join(f"{key}=" for key in values)
        raise UserError(f"{given} without search= would be ignored. Add search=tpe (or {', '.join(KINDS)}).")
    kind, known = (
        values.pop(WORD),
        {key.removeprefix(f"{WORD}."): item for key, item in knobs_of(SearchOptions).items()},
    )
    problems = []
    if kind not in KINDS:
        problems.append(
            f"search is '{kind}'; it is one of {', '.join(KINDS)}.{nearest(str(kind), KINDS)} Use search=tpe."
        )
    found: dict[str, Any] = {}
    for key, value in values.items():
        name = key.partition(".")[2]
        if name not in known or name == "kind":
            names = [each for each in known if each != "kind"]
            problems.append(f"search has no key '{name}'.{nearest(name, names)} Its keys: {', '.join(names)}.")
        elif wrong := problem(key, value, known[name].hint, known[name].rule, _example(known[name].default)):
            problems.append(wrong)
        else:
            found[name] = value
    if not problems:
        options = dataclasses.replace(SearchOptions(str(kind)), **found)
        problems = _together(options, found)
    if problems:
        raise UserError(problems)
    return options


def _example(default: Any) -> Any:  # noqa: ANN401  the default of a key
    return ... if default is None else default


def _together(options: SearchOptions, given: Mapping[str, Any]) -> list[str]:
    """Return problems between two keys."""
    problems = []
    if (options.choose == PREFERENCE) != (options.preference is not None):
        problems.append(
            "search.choose=preference and search.preference go together. "
            "Use for example search.choose=preference 'search.preference=[.3,.7]'."
        )
    preference = options.preference
    if preference is not None and not (
        all(math.isfinite(value) and value >= 0 for value in preference) and sum(preference) > 0
    ):
        problems.append(f"search.preference is {preference}; it is weights ≥ 0, not all of them 0, one for each task.")
    if "points" in given and options.kind != "grid":
        problems.append("search.points is the number of values in a grid. Use search=grid, or leave it out.")
    return problems
