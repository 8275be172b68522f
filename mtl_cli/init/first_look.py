"""mtl-init: from a file of a table, of texts or of labelled words to the conf files that train on it."""

import itertools
import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from mtl_cli.config.annotations import one_of
from mtl_cli.config.shipped import conf_dir, group_options
from mtl_cli.errors import UserError, nearest
from mtl_cli.files import write_text
from mtl_cli.init.conll_looking import holds_words
from mtl_cli.init.running_text import TextColumn, look_at, running_text
from mtl_cli.init.sniff import sniff_encoding
from mtl_cli.init.survey import open_unknown, survey_table
from mtl_cli.init.yaml_files import WORDS, FileSurvey, Section, dataset_yaml, one_line, task_files
from mtl_cli.report.tables import table
from mtl_cli.tables.reading import SUFFIXES, ReadOptions, TableFile, require_columns
from mtl_cli.texts.conll import ConllOptions
from mtl_cli.texts.json_lines import SUFFIXES as JSON_SUFFIXES
from mtl_cli.texts.json_lines import JsonLinesFile, open_file

OPTIONS = ("target", "text", "columns", "word", "group", "format", "delimiter", "encoding", "overwrite")
FORMATS = ("auto", "csv", "tsv", "jsonl", "parquet", "conll", "conllu")
ONLY_WORDS, ONLY_ROWS = ("columns", "word"), ("text", "delimiter")
"""Options that only files of one word a line have, and that only files of rows have."""


def init_config(source: str, output: Path, options: Mapping[str, Any]) -> None:
    """Look at a file, print what it is taken for and why, and write its dataset and tasks into a conf folder.

    Raises:
        UserError: the file cannot be used, an option is wrong, or a file would be overwritten.
    """
    check_options(options)
    path = Path(source).expanduser()
    found = survey(path, target_columns(options["target"]), options)
    dataset = free_name(slug(path.name.split(".")[0], "data"), group_options([conf_dir()])["dataset"], "_data")
    files = {output / "dataset" / f"{dataset}.yaml": dataset_yaml(found, source)}
    tasks = task_files(found.tasks, dataset)
    files |= {output / "task" / f"{name}.yaml": text for name, text in tasks.items()}
    write_files(files, bool(options.get("overwrite", False)))
    print("\n".join(report(found, path, files, train_command(found, tasks, output))))


def survey(path: Path, targets: Mapping[str, Sequence[str]], options: Mapping[str, Any]) -> FileSurvey:
    """Return a first look at a file, of the kind that it is of: words, texts or a table.

    Raises:
        UserError: the file cannot be used, or an option does not go with it.
    """
    format, encoding, group = options.get("format", "auto"), options.get("encoding"), options.get("group")
    words = holds_words(path, format, encoding)
    kind, wrong = ("one word a line", ONLY_ROWS) if words else ("rows", ONLY_WORDS)
    if extra := [key for key in wrong if key in options]:
        raise UserError(f"{path} is a file of {kind}, so {extra[0]}={options[extra[0]]} does not apply. Leave it out.")
    if words:
        if several := [columns for columns in targets.values() if len(columns) > 1]:
            raise UserError(f"target {'+'.join(several[0])}: labels of words are one column each. Use target=[a,b].")
        from mtl_cli.init.conll_survey import survey_conll  # needs tokenizers, which tables do not

        columns = None if options.get("columns") is None else tuple(map(str, options["columns"]))
        word, encoding = options.get("word"), encoding or sniff_encoding(path)
        how = ConllOptions(format=format, columns=columns, word=word, encoding=encoding)
        return survey_conll(path, how, {name: each[0] for name, each in targets.items()}, group)
    file = open_rows(path, format, options.get("delimiter"), encoding)
    reserved = [*(column for columns in targets.values() for column in columns), *([group] if group else [])]
    require_columns(reserved, file.columns, path)
    texts = running_text(file, reserved) if "text" not in options else named_texts(file, options["text"])
    if texts:
        from mtl_cli.init.text_survey import survey_text

        return survey_text(file, texts, targets, group)
    if isinstance(file, JsonLinesFile):
        raise UserError(
            f"{path} is JSON lines, and no column looks like running text ({', '.join(file.columns[:8])}). Name it: "
            "text=COLUMN. For a table without text write the file as CSV or Parquet."
        )
    return survey_table(file, targets, group)


def open_rows(path: Path, format: str, delimiter: str | None, encoding: str | None) -> TableFile:
    """Return a file of rows; encoding and delimiter are found by looking, where they are not told.

    Raises:
        UserError: it cannot be read.
    """
    if format == "auto" and not any(suffix.lower() in (*SUFFIXES, *JSON_SUFFIXES) for suffix in path.suffixes):
        raise UserError(f"The name of {path} does not tell its format. Set format={', '.join(FORMATS[1:])}.")
    if format == "jsonl" or (format == "auto" and path.suffix.lower() in JSON_SUFFIXES):
        return open_file(path, ReadOptions(format=format, delimiter=delimiter))
    return open_unknown(path, format, delimiter, encoding)


def named_texts(file: TableFile, value: Any) -> list[TextColumn]:  # noqa: ANN401  what was typed
    """Return the columns of text that were named; none for null.

    Raises:
        UserError: one is not there or named twice.
    """
    names = [] if value is None else [str(each) for each in (value if isinstance(value, list) else [value])]
    if len(set(names)) < len(names):
        raise UserError(f"text is {value}, which names a column twice. Name each once.")
    require_columns(names, file.columns, file.path)
    return list(look_at(file, names).values())


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
        for key in ("group", "word", "format", "delimiter", "encoding")
        if not isinstance(options.get(key, ""), str)
    ]
    if (told := options.get("format", "auto")) not in FORMATS:
        problems.append(one_of("format", told, FORMATS))
    if not isinstance(options.get("columns") or [], list):
        problems.append(f"columns is {options['columns']!r}; it is a list of names, such as columns=[word,pos,ner].")
    if not isinstance(options.get("overwrite", False), bool):
        problems.append(f"overwrite is {options['overwrite']!r}; it is true or false.")
    if not options.get("target"):
        problems.append("No target is given. Use for example 'target=[income,married]', the columns to predict.")
    if problems:
        raise UserError(problems)


def target_columns(value: Any) -> dict[str, list[str]]:  # noqa: ANN401  a text or a list of them
    """Return the columns of each target by its name: columns joined by + make one target.

    Raises:
        UserError: a target is not a text, or is there twice.
    """
    found: dict[str, list[str]] = {}
    shipped = group_options([conf_dir()]).get("task", [])
    for each in value if isinstance(value, list) else [value]:
        columns = [part.strip() for part in str(each).split("+")]
        if not all(columns):
            raise UserError(f"target is {value!r}; it is a list of columns, such as 'target=[income,days+died]'.")
        if columns in found.values():
            raise UserError(f"target is {value!r}, which has '{each}' twice. Give each target once.")
        plain = free_name(slug("_".join(columns), "target"), shipped, "_task")
        taken = {name.lower() for name in found}  # file systems may hold A.yaml and a.yaml for the same
        names = (name for number in itertools.count(1) if (name := numbered(plain, number)).lower() not in taken)
        found[next(names)] = columns
    return found


def numbered(name: str, number: int) -> str:
    """Return a name with a number behind it, but for the first."""
    return name if number == 1 else f"{name}_{number}"


def slug(text: str, empty: str) -> str:
    """Return a text as a name of tasks and files, kept where Hydra can hold it: Latin letters, digits and _."""
    name = re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_")
    return name if name[:1].isalpha() else f"{empty}_{name}".rstrip("_")


def free_name(name: str, taken: Sequence[str], ending: str) -> str:
    """Return a name that the package's own conf files do not have, and that neither YAML nor Hydra reads as a value."""
    return f"{name}{ending}" if name in taken or WORDS.fullmatch(name) else name


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
    head = one_line(f"{path}: {found.size} ({found.how})")
    return [head, *(line for section in sections for line in section_lines(section))]


def section_lines(section: Section) -> list[str]:
    """Return a part of the report, after a blank line."""
    rows = [[one_line(cell) for cell in row] for row in section.rows]
    aligned = ["", *(f"  {line}" for line in table(rows).splitlines())] if rows else []
    return ["", *section.title.splitlines(), *(f"  {one_line(line)}" for line in section.lines), *aligned]


def train_command(found: FileSurvey, tasks: Collection[str], output: Path) -> str:
    """Return the command that trains the tasks of these files."""
    folder = shlex.quote(str(output))
    return " ".join(["mtl-train", "--config-dir", folder, f"task={'+'.join(tasks)}", *found.training().overrides])
