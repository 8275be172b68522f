"""mtl-init: from a file of a table to the conf files that train on it."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mtl_cli.errors import UserError, nearest
from mtl_cli.files import write_text
from mtl_cli.init_yaml import FileSurvey, Section, dataset_yaml, task_yaml
from mtl_cli.report.tables import table
from mtl_cli.shipped import conf_dir, group_options
from mtl_cli.tables.survey import open_unknown, survey_table

OPTIONS = ("target", "group", "format", "delimiter", "encoding", "overwrite")


def init_config(source: str, output: Path, options: Mapping[str, Any]) -> None:
    """Look at a file, print what it is taken for and why, and write its dataset and tasks into a conf folder.

    Raises:
        UserError: the file cannot be used, an option is wrong, or a file would be overwritten.
    """
    check_options(options)
    path = Path(source).expanduser()
    file = open_unknown(path, options.get("format", "auto"), options.get("delimiter"), options.get("encoding"))
    columns = target_columns(options["target"], output)
    found = survey_table(file, columns, options.get("group"))
    dataset = free_name(slug(path.name.split(".")[0], "data"), group_options([conf_dir()])["dataset"], "_data")
    files = {output / "dataset" / f"{dataset}.yaml": dataset_yaml(found, source)}
    for task in found.tasks:
        files[output / "task" / f"{task.name}.yaml"] = task_yaml(task, dataset)
    write_files(files, bool(options.get("overwrite", False)))
    print("\n".join(report(found, path, files, train_command(found, output))))


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


def report(found: FileSurvey, path: Path, files: Mapping[Path, str], command: str) -> list[str]:
    """Return the lines that are printed: what was guessed and why, statistics, files, the command."""
    training = found.training()
    sections = [*found.report(), Section("Written", list(map(str, files)))]
    sections.append(Section("Train with", [command, *training.hints]))
    return [f"{path}: {found.size} ({found.how})", *(line for section in sections for line in section_lines(section))]


def section_lines(section: Section) -> list[str]:
    """Return a part of the report, after a blank line."""
    aligned = ["", *(f"  {line}" for line in table(section.rows).splitlines())] if section.rows else []
    return ["", *section.title.splitlines(), *(f"  {line}" for line in section.lines), *aligned]


def train_command(found: FileSurvey, output: Path) -> str:
    """Return the command that trains."""
    tasks = "+".join(task.name for task in found.tasks)
    return " ".join(["mtl-train", "--config-dir", str(output), f"task={tasks}", *found.training().overrides])
