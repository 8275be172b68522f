"""The page of a report: one file of HTML with its figures in it, which needs no network."""

import base64
import functools
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2

from mtl_cli import __version__
from mtl_cli.answers.comparison import BETTER, SAME, WORSE, Answer, Verdict
from mtl_cli.answers.runs import DataFacts, Run
from mtl_cli.answers.searches import Search
from mtl_cli.answers.tables import Table, runs_table, settings_table, verdict_table
from mtl_cli.answers.words import rule, sentences
from mtl_cli.errors import printable
from mtl_cli.files import read_json

MATRICES, CLASSES = 12, 40
"""Confusion matrices of a page, and classes of one, at most."""
SHEETS, SHEET_BYTES = 4, 400_000
"""Pictures of a kind on a page, and bytes of one, at most."""
ROWS = 2000
"""Rows of a table at most; the CSV has all."""
KEYS = (
    "mtl_cli", "python", "torch", "platform", "processor", "cpus", "memory_gb", "device", "precision", "threads",
    "deterministic",
)  # fmt: skip
"""What a page shows of environment.json, beside packages and the state of git."""
TITLES = {
    "trials": "Trials of the search",
    "gains": "Δm over the baseline",
    "metrics": "Validation metrics",
    "losses": "Training losses",
    "weights": "Weights of the tasks",
    "conflicts": "Conflicts and cosines of gradients, means over windows",
    "pareto": "Trade-offs between tasks",
}
KINDS = {BETTER: "good", WORSE: "bad", SAME: "same"}


@dataclass(frozen=True)
class Matrix:
    """A confusion matrix: names of classes, and per cell its count and its shade from 0 to 100."""

    title: str
    classes: Sequence[str]
    rows: Sequence[Sequence[tuple[int, int]]]

    @property
    def named(self) -> bool:
        """True where names are too long to stand above their columns."""
        return max(map(len, self.classes)) > 3


@functools.cache
def template() -> jinja2.Template:
    """Return the template of the page; everything that it is given is escaped."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    source = resources.files("mtl_cli.answers").joinpath("report.html.j2").read_text(encoding="utf-8")
    return environment.from_string(source)


def page(verdict: Verdict, figures: Mapping[str, str], searches: Sequence[Search] = ()) -> str:
    """Return the page; `figures` are SVG elements by name, `searches` those that have made the runs."""
    runs = [run for answer in verdict.answers for run in answer.setting.runs.values()]
    return template().render(
        version=__version__,
        split="test" if verdict.split == "test" else "validation",
        verdict=verdict,
        searches=[search.sentence() for search in searches],
        head=head_of(verdict, runs),
        sentences=[(kind_of(answer), text, answer.marked if answer else ()) for answer, text in sentences(verdict)],
        single=len(verdict.answers) == 1,
        rule=rule(verdict),
        tables=[shown_table(make(verdict)) for make in (settings_table, verdict_table, runs_table)],
        figures=[(name, TITLES[name], figures[name]) for name in TITLES if name in figures],
        matrices=list(matrices(verdict.answers)),
        sheets=list(sheets(runs, ("samples*.png",))),
        judged=list(sheets(runs, ("probabilities_*.png", "residuals_*.png"))),
        environment=environment_rows(runs),
        commands=commands_of(runs),
    )


def kind_of(answer: Answer | None) -> str:
    """Return the class of style of a setting's verdict."""
    return KINDS.get(answer.gain.word, "open") if answer and answer.gain else "open"


def head_of(verdict: Verdict, runs: Sequence[Run]) -> list[tuple[str, str]]:
    """Return what was run, as names and values."""
    tasks = list(dict.fromkeys(task for run in runs for task in run.tasks))
    seeds = sorted({run.unit.seed for run in runs})
    folds = sorted({run.unit.fold for run in runs if run.unit.fold is not None})
    steps = sorted({run.summary["steps"] for run in runs if isinstance(run.summary.get("steps"), int)})
    data: dict[str, dict[str, None]] = {}
    for run in runs:
        for name, facts in run.data.items():
            data.setdefault(facts_in_words(facts), {})[name] = None
    values = [
        ("settings", str(len(verdict.answers))),
        ("runs", str(len(runs))),
        ("baseline", "" if len(verdict.answers) == 1 else verdict.baseline),
        ("tasks", _some(tasks)),
        ("seeds", _some(map(str, seeds))),
        ("folds", _some(map(str, folds))),
        ("steps", f"{steps[0]} to {steps[-1]}" if len(steps) > 1 else "".join(map(str, steps))),
        ("data", "; ".join(f"{_some(names, 6)}: {text}" for text, names in list(data.items())[:12] if text)),
    ]
    return [(name, value) for name, value in values if value]


def facts_in_words(facts: DataFacts) -> str:
    """Return the rows and the digests of a dataset."""
    rows = " / ".join(str(facts.rows[split]) for split in ("train", "val", "test") if split in facts.rows)
    digests = ", ".join(f"{name} {str(digest)[:12]}…" for name, digest in facts.files.items())
    return f"{rows} rows (train / val / test)" * bool(rows) + f", {digests}" * bool(digests)


def shown_table(table: Table) -> Table:
    """Return a table with at most ROWS rows, without empty columns; texts are escaped where they do not print."""
    kept = [place for place in range(len(table.head)) if any(row[place] for row in table.rows)]
    rows = tuple(tuple(printable(row[place]) for place in kept) for row in table.rows[:ROWS])
    return Table(table.name, table.caption, tuple(table.head[place] for place in kept), rows, (), ())


def matrices(answers: Sequence[Answer]) -> Iterator[Matrix]:
    """Yield confusion matrices, those of the first run of each setting."""
    left = MATRICES
    for answer in answers:
        kept = read_json(answer.setting.first.path / "confusions.json")
        tasks = kept.get("tasks")
        for task, record in tasks.items() if isinstance(tasks, Mapping) else ():
            matrix = _matrix(f"{answer.setting.name}, {task}, {kept.get('split')}", record)
            if matrix is not None and left > 0:
                left -= 1
                yield matrix


def _matrix(title: str, record: Any) -> Matrix | None:  # noqa: ANN401  any JSON value
    """Return a matrix, None where the file does not hold one of a size that can be shown."""
    try:
        classes, counts = (
            [str(name) for name in record["classes"]],
            [[int(cell) for cell in row] for row in record["counts"]],
        )
    except (TypeError, KeyError, ValueError, OverflowError):
        return None
    if not 1 < len(classes) <= CLASSES or [len(row) for row in counts] != [len(classes)] * len(classes):
        return None
    rows = [[(cell, round(100 * (max(cell, 0) / max(sum(row), 1)) ** 0.5)) for cell in row] for row in counts]
    return Matrix(title, classes, rows)


def sheets(runs: Sequence[Run], names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield pictures of some names that mtl-eval has drawn: a title, and the image in base 64."""
    left = SHEETS
    for run in runs:
        for path in sorted(path for name in names for path in run.path.glob(f"evaluations/*/{name}")):
            if left <= 0:
                return
            if path.is_file() and not path.is_symlink() and path.stat().st_size <= SHEET_BYTES:
                data = path.read_bytes()
                if data.startswith(b"\x89PNG\r\n\x1a\n"):
                    left -= 1
                    yield f"{run.path.name}, {path.parent.name}, {path.stem}", base64.b64encode(data).decode()


def environment_rows(runs: Sequence[Run]) -> list[tuple[str, str]]:
    """Return where runs happened: each key with its values, and the number of runs where there are several."""
    counted: dict[str, dict[str, int]] = {}
    for run in runs:
        found = run.environment
        packages, git = found.get("packages"), found.get("git")
        values = {key: found[key] for key in KEYS if key in found}
        values |= {str(key): value for key, value in (packages.items() if isinstance(packages, Mapping) else ())}
        if isinstance(git, Mapping):
            values["git"] = f"{git.get('commit')}, {git.get('changed_files')} changed files"
        for key, value in values.items():
            own = counted.setdefault(key, {})
            own[str(value)] = own.get(str(value), 0) + 1
    return [
        (key, next(iter(values)) if len(values) == 1 else "; ".join(f"{v} ({n} runs)" for v, n in values.items()))
        for key, values in counted.items()
    ]


def commands_of(runs: Sequence[Run]) -> list[tuple[str, int]]:
    """Return the commands that made the runs, each with the number of its runs."""
    counted: dict[str, int] = {}
    for run in runs:
        words = run.environment.get("command")
        if isinstance(words, list) and words:
            text = shlex.join(map(str, words))
            counted[text] = counted.get(text, 0) + 1
    return list(counted.items())


def _some(names: Iterable[str], most: int = 40) -> str:
    listed = list(names)
    return ", ".join(listed[:most]) + (f", … ({len(listed)})" if len(listed) > most else "")


def file_name(folder: Path) -> Path:
    """Return where the page lies."""
    return folder / "report.html"
