"""Targets that were guessed, as mtl-init writes and prints them."""

import itertools
import math
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from mtl_cli.init.association import associate
from mtl_cli.init.guess import Guess
from mtl_cli.init.label_column import LabelColumn
from mtl_cli.init.label_lists import label_counts
from mtl_cli.init.yaml_files import FoundTask, Section, entry, group_lines

MAX_LISTED, MAX_SHOWN = 50, 6
MAX_TOLD, FIRST = 24, 3
"""Targets up to which all are told of, and those of each kind that are where there are more."""
MAX_PAIRED, MAX_PAIRS, MAX_ROWS = 32, 20, 20_000
"""Columns that are compared in pairs, pairs that are shown, and rows that are compared."""
CLASS_KINDS = ("class", "binary", "ordinal", "multilabel")
HEAD = "    head: {_target_: mtl_cli.heads.mlp.MLPHead, hidden: [], dropout: 0.0, activation: relu, init: default}\n"
CLASS_WEIGHTS = """\
    label_smoothing: 0.0
    class_weights: null  # null, balanced, or a list: one factor per class
"""
IMBALANCE = f"""\
{CLASS_WEIGHTS}    focal_gamma: 0.0     # exponent of the focal loss; 0 = cross-entropy, 2 is usual
"""
TASKS = {
    "binary": ("mtl_cli.tasks.binary.Binary", IMBALANCE, "auc", "f1, accuracy, log_loss"),
    "class": ("mtl_cli.tasks.classification.Classification", IMBALANCE, "accuracy", "f1"),
    "ordinal": ("mtl_cli.tasks.ordinal.Ordinal", "", "qwk", "mae, accuracy"),
    "multilabel": ("mtl_cli.tasks.multilabel.Multilabel", "", "map", "f1, f1_micro"),
    "real": ("mtl_cli.tasks.regression.Regression", "", "rmse", "mae, r2"),
    "count": ("mtl_cli.tasks.count.Count", "", "deviance", "mae"),
    "survival": ("mtl_cli.tasks.survival.Survival", "", "concordance", ""),
    "ranking": (
        "mtl_cli.tasks.ranking.Ranking", "    k: 10  # rows of a group that NDCG looks at\n", "auc", "log_loss, ndcg"
    ),
}  # fmt: skip
"""Class, further arguments, primary metric and the other metrics of the task for each kind of target."""


def found_task(guess: Guess, missing: Mapping[str, Sequence[str]]) -> FoundTask:
    """Return the task on a target; `missing` are, by column, values that stand for no label."""
    target, arguments, primary, others = TASKS[guess.kind]
    how = reading(guess, missing)
    return FoundTask(guess.name, guess.kind, guess.why, target, arguments + HEAD, primary, others, how)


def reading(guess: Guess, missing: Mapping[str, Sequence[str]]) -> dict[str, bool | str | list[str]]:
    """Return how the labels of a target are read, by key; a column of the target's name goes without saying."""
    found: dict[str, bool | str | list[str]] = {}
    if len(guess.columns) > 1:
        found["columns"] = guess.names
    elif guess.names != [guess.name]:
        found["column"] = guess.names[0]
    if guess.kind in ("class", "binary", "ordinal") and len(guess.columns[0].values) <= MAX_LISTED:
        found["classes"] = list(guess.columns[0].classes)
    if guess.separator:
        found |= {"separator": guess.separator, "classes": list(label_counts(guess.columns[0], guess.separator))}
    if guess.columns[0].folded:
        found["ignore_case"] = True
    if absent := [value for name in guess.names for value in missing.get(name, ())]:
        found["missing"] = absent
    return found


def stratum_lines(guesses: Sequence[Guess]) -> list[str]:
    """Return the YAML of the column whose values all splits share, so that the choice of tasks moves no row."""
    column = next((guess.names[0] for guess in guesses if guess.kind in CLASS_KINDS), None)
    return [] if column is None else [entry("stratify", column, "equal shares in all splits, for any tasks chosen")]


def dividing_lines(split: str | None, group: str | None, guesses: Sequence[Guess], one: str = "row") -> list[str]:
    """Return the YAML of how rows are divided: by a column of splits or groups or, without one, in strata."""
    if split:
        return [entry("split_column", split, f"it names the split of every {one}")]
    return group_lines(group) if group else stratum_lines(guesses)


def target_section(guesses: Sequence[Guess], rows: int) -> Section:
    """Return what was guessed and why, with the statistics of the labels."""
    lines = []
    shown = told_of(guesses)
    for guess in shown:
        task = found_task(guess, {})
        others = f" (also {task.others})" if task.others else ""
        lines.append(f"{guess.name}: {guess.kind}, because {guess.why}. Metric: {task.primary}{others}")
        lines += [f"  {column.name}: {label_statistics(guess, column, rows)}" for column in guess.columns]
        lines += [f"  note: {note}" for note in guess.notes]
        if not "".join(guess.names).isascii():
            lines.append("  note: on Hydra's command line a task's name has Latin letters only; name=[…] sets it")
    if len(guesses) > len(shown):
        kinds = Counter(guess.kind for guess in guesses)
        kinds.subtract(guess.kind for guess in shown)
        more = ", ".join(f"{count} of kind {kind}" for kind, count in kinds.items() if count)
        lines.append(f"… and {len(guesses) - len(shown)} more: {more}")
    return Section("Targets", lines)


def told_of(guesses: Sequence[Guess]) -> list[Guess]:
    """Return the targets that are told of: all, or of many the first of each kind and those with notes."""
    if len(guesses) <= MAX_TOLD:
        return list(guesses)
    kinds = Counter[str]()
    found: list[Guess] = []
    for guess in guesses:
        kinds[guess.kind] += 1
        if (kinds[guess.kind] <= FIRST or guess.notes) and len(found) < MAX_TOLD:
            found.append(guess)
    return found


def label_statistics(guess: Guess, column: LabelColumn, rows: int) -> str:
    """Return how the labels of a column are spread, in words."""
    missing = rows - column.present
    lost = f"; {missing} of {rows} missing ({missing / rows:.1%})" if missing else ""
    if guess.kind in ("class", "binary", "ordinal", "multilabel") or column.numbers is None:
        counts = label_counts(column, guess.separator) if guess.separator else column.counts
        return class_statistics(counts, column.present) + lost
    values = column.numbers[column.codes >= 0]
    spread = f"mean {values.mean():.4g}, deviation {values.std():.4g}, from {values.min():.4g} to {values.max():.4g}"
    return f"{spread}{lost}"


def class_statistics(counts: Mapping[str, int], total: int) -> str:
    """Return the labels by class, not too many of them, of so many rows in all, and how unlike their numbers are."""
    shown = [f"{name} {count} ({count / total:.1%})" for name, count in itertools.islice(counts.items(), MAX_SHOWN)]
    more = f", … ({len(counts)} in all)" if len(counts) > MAX_SHOWN else ""
    ratio = max(counts.values()) / max(1, min(counts.values()))
    return f"{', '.join(shown)}{more}; imbalance {ratio:.1f}"


def association_sections(guesses: Sequence[Guess]) -> list[Section]:
    """Return a row for each pair of target columns that hang together most, where there are several targets."""
    columns = [column for guess in guesses for column in guess.columns]
    if len(guesses) < 2:
        return []
    pairs = list(itertools.combinations([each.head(MAX_ROWS) for each in columns[:MAX_PAIRED]], 2))
    found = [(one.name, other.name, associate(one.labels, other.labels)) for one, other in pairs]
    found.sort(key=lambda pair: -np.nan_to_num(pair[2].share))
    rows = [["pair", "rows", "correlation", "bits", "share"]]
    for one, other, each in found[:MAX_PAIRS]:
        numbers = [
            f"{value:.3f}" if math.isfinite(value) else "–" for value in (each.correlation, each.bits, each.share)
        ]
        rows.append([f"{one} – {other}", str(each.rows), *numbers])
    title = (
        "Targets together (correlation: Pearson's r of numbers, else Cramér's V; mutual information in bits,\n"
        "and as a share of the smaller entropy): the larger, the more likely they help each other"
    )
    return [Section(title, left_out(columns, len(found)), rows)]


def left_out(columns: Sequence[LabelColumn], pairs: int) -> list[str]:
    """Return what the table of pairs does not show, in words."""
    said = []
    if len(columns) > MAX_PAIRED:
        said.append(f"of {len(columns)} columns the first {MAX_PAIRED} are compared")
    if pairs > MAX_PAIRS:
        said.append(f"the {MAX_PAIRS} pairs with the largest share, of {pairs}")
    if any(len(column.codes) > MAX_ROWS for column in columns):
        said.append(f"in the first {MAX_ROWS} rows")
    return said
