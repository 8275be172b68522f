"""mtl-init: from a file of a table to the conf files that train on it."""

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mtl_cli.errors import UserError, nearest
from mtl_cli.files import write_text
from mtl_cli.init_yaml import SECOND, TASKS, dataset_yaml, task_yaml
from mtl_cli.report.tables import table
from mtl_cli.shipped import conf_dir, group_options
from mtl_cli.tables.association import associate
from mtl_cli.tables.guess import Guess, LabelColumn
from mtl_cli.tables.survey import Survey, open_unknown, survey

OPTIONS = ("target", "group", "format", "delimiter", "encoding", "overwrite")
BATCH, STEPS, MAX_EPOCHS = 128, 2000, 200
MAX_SHOWN = 6
LARGE = 20_000
"""Rows from which on ft_transformer is worth its time."""


def init_config(source: str, output: Path, options: Mapping[str, Any]) -> None:
    """Look at a file, print what it is taken for and why, and write its dataset and tasks into a conf folder.

    Raises:
        UserError: the file cannot be used, an option is wrong, or a file would be overwritten.
    """
    check_options(options)
    path = Path(source).expanduser()
    file = open_unknown(path, options.get("format", "auto"), options.get("delimiter"), options.get("encoding"))
    columns = target_columns(options["target"], output)
    group = options.get("group")
    found = survey(file, columns, [group] if group else [])
    dataset = free_name(slug(path.name.split(".")[0], "data"), group_options([conf_dir()])["dataset"], "_data")
    files = {output / "dataset" / f"{dataset}.yaml": dataset_yaml(found, source, group)}
    for guess in found.targets:
        files[output / "task" / f"{guess.name}.yaml"] = task_yaml(guess.name, guess, dataset)
    write_files(files, bool(options.get("overwrite", False)))
    print("\n".join(report(found, files, output, dataset)))


def check_options(options: Mapping[str, Any]) -> None:
    """Refuse options that mtl-init does not have.

    Raises:
        UserError: every one.
    """
    problems = [
        f"mtl-init has no option {key}={value}.{nearest(key, OPTIONS)} mtl-init --help shows what it takes."
        for key, value in options.items()
        if key not in OPTIONS
    ]
    problems += [
        f"{key} is {options[key]!r}; it is a text. Quote it: {key}='\"…\"'."
        for key in ("group", "format", "delimiter", "encoding")
        if not isinstance(options.get(key, ""), str)
    ]
    if not isinstance(options.get("overwrite", False), bool):
        problems.append(f"overwrite is {options['overwrite']!r}; it is true or false.")
    if not options.get("target"):
        problems.append("No target is given. Use for example 'target=[income,married]', the columns to predict.")
    if problems:
        raise UserError(problems)


def target_columns(value: Any, output: Path) -> dict[str, list[str]]:  # noqa: ANN401  a text or a list of them
    """Return the columns of each target by its name: columns joined by + make one target.

    Raises:
        UserError: a target is no text, or is there twice.
    """
    found: dict[str, list[str]] = {}
    shipped = group_options([conf_dir()]).get("task", [])
    for each in value if isinstance(value, list) else [value]:
        columns = [part.strip() for part in str(each).split("+")]
        if not all(columns):
            raise UserError(f"target is {value!r}; it is a list of columns, such as 'target=[income,days+died]'.")
        name = free_name(slug(columns[0] if len(columns) == 1 else "_".join(columns), "target"), shipped, "_task")
        if name in found:
            raise UserError(f"target is {value!r}, which has '{name}' twice. Give each target once.")
        found[name] = columns
    return found


def slug(text: str, empty: str) -> str:
    """Return a text as a name of tasks and files: letters, digits and _, a letter first."""
    name = re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_").lower()
    return name if name[:1].isalpha() else f"{empty}_{name}".rstrip("_")


def free_name(name: str, taken: Sequence[str], ending: str) -> str:
    """Return a name that the package's own conf files do not have."""
    return f"{name}{ending}" if name in taken else name


def write_files(files: Mapping[Path, str], overwrite: bool) -> None:
    """Write the files; where one is there already with another content, none of them.

    Raises:
        UserError: a file would be overwritten, or a folder cannot be made.
    """
    there = [path for path, text in files.items() if path.exists() and path.read_text(encoding="utf-8") != text]
    if there and not overwrite:
        listed = ", ".join(map(str, there))
        raise UserError(f"{listed} would be overwritten. Give another output=DIR, or say so: overwrite=true.")
    try:
        for folder in {path.parent for path in files}:
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"Cannot make the conf folder: {error}. Give another one: output=DIR.") from error
    for path, text in files.items():
        write_text(path, text)


def report(found: Survey, files: Mapping[Path, str], output: Path, dataset: str) -> list[str]:
    """Return the lines that are printed: what was guessed and why, label statistics, files, the command."""
    file = found.file
    how = f"{file.format}, {file.options.encoding}, delimiter {file.delimiter!r}" if file.is_text else file.format
    lines = [f"{file.path}: {found.rows} rows, {len(file.columns)} columns ({how})", "", "Targets"]
    for guess in found.targets:
        others = f" (also {SECOND[guess.kind]})" if SECOND[guess.kind] else ""
        lines.append(f"  {guess.name}: {guess.kind}, because {guess.why}. Metric: {TASKS[guess.kind][2]}{others}")
        lines += [f"    {column.name}: {label_statistics(guess, column, found.rows)}" for column in guess.columns]
        lines += [f"    note: {note}" for note in guess.notes]
    lines += ["", "Inputs", *input_lines(found)]
    if len(found.targets) > 1:
        lines += [
            "",
            "Targets together (correlation: Pearson's r of numbers, else Cramér's V; mutual information in bits,",
        ]
        lines += ["and as a share of the smaller entropy): the larger, the more likely they help each other", ""]
        lines += ["  " + line for line in association_table(found.targets).splitlines()]
    lines += ["", "Written", *(f"  {path}" for path in files), "", "Train with", f"  {command(found, output)}"]
    if found.rows >= LARGE:
        lines.append("  or backbone=ft_transformer, slower and often better on tables of this size")
    return lines


def label_statistics(guess: Guess, column: LabelColumn, rows: int) -> str:
    """Return how the labels of a column are spread, in words."""
    missing = rows - column.present
    lost = f"; {missing} of {rows} missing ({missing / rows:.1%})" if missing else ""
    if guess.kind in ("class", "binary", "ordinal", "multilabel") or column.numbers is None:
        counts = column.counts
        shown = [
            f"{name} {count} ({count / column.present:.1%})"
            for name, count in itertools.islice(counts.items(), MAX_SHOWN)
        ]
        more = f", … ({len(counts)} in all)" if len(counts) > MAX_SHOWN else ""
        ratio = max(counts.values()) / max(1, min(counts.values()))
        return f"{', '.join(shown)}{more}; imbalance {ratio:.1f}{lost}"
    values = column.numbers[column.codes >= 0]
    spread = f"mean {values.mean():.4g}, deviation {values.std():.4g}, from {values.min():.4g} to {values.max():.4g}"
    return f"{spread}{lost}"


def input_lines(found: Survey) -> list[str]:
    """Return what becomes of the other columns, by kind."""
    answers = {name for guess in found.targets for name in guess.names}
    kinds: dict[str, list[str]] = {}
    for name, column in found.columns.items():
        if name not in answers and name not in found.drop:
            mixed = "text" if name in found.categorical else "number"
            kinds.setdefault({"mixed": mixed, "empty": "number"}.get(column.kind, column.kind), []).append(name)
    words = {"number": "numeric", "date": "dates (days since 1970)", "text": "categorical"}
    lines = [f"  {words[kind]}: {some(kinds[kind])}" for kind in words if kind in kinds]
    lines += [f"  drop {name}: {reason}" for name, reason in found.drop.items()]
    lines += [f"  {name} holds numbers and text: declared categorical" for name in found.categorical]
    return lines + [f"  '{value}' counts as missing: the only text in a column of numbers" for value in found.missing]


def some(names: Sequence[str]) -> str:
    """Return names, not too many of them."""
    return ", ".join(names[:12]) + (f", … ({len(names)})" if len(names) > 12 else "")


def association_table(targets: Sequence[Guess]) -> str:
    """Return a row a pair of target columns."""
    columns = [column for guess in targets for column in guess.columns]
    rows = [["pair", "rows", "correlation", "bits", "share"]]
    for one, other in itertools.combinations(columns, 2):
        found = associate(one.labels, other.labels)
        numbers = [
            f"{value:.3f}" if math.isfinite(value) else "–" for value in (found.correlation, found.bits, found.share)
        ]
        rows.append([f"{one.name} – {other.name}", str(found.rows), *numbers])
    return table(rows)


def command(found: Survey, output: Path) -> str:
    """Return the command that trains: small tables get more epochs, so that there are some 2000 steps."""
    steps = max(1, math.ceil(0.7 * found.rows / BATCH))
    epochs = min(MAX_EPOCHS, math.ceil(STEPS / steps))
    longer = f" trainer.max_epochs={epochs}" if epochs > 6 else ""
    tasks = "+".join(guess.name for guess in found.targets)
    return f"mtl-train --config-dir {output} task={tasks} backbone=tabular{longer}"
