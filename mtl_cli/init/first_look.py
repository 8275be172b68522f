"""mtl-init: from a file of a table, of texts or of labelled words to the conf files that train on it."""

import shlex
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mtl_cli.config.shipped import conf_dir, group_options
from mtl_cli.errors import UserError
from mtl_cli.files import write_text
from mtl_cli.images.listings import BOXES, FORMS
from mtl_cli.images.new_images import ENDINGS as IMAGE_ENDINGS
from mtl_cli.init.asked import (
    MAX_NAME,
    ONLY_ROWS,
    ONLY_WORDS,
    ROOT,
    asked_of,
    check_options,
    free_name,
    kinds_of,
    listed,
    reading_of,
    slug,
    spelled_out,
    target_columns,
)
from mtl_cli.init.audio_looking import holds_sounds, named_sounds, sound_columns, sounds_elsewhere
from mtl_cli.init.audio_survey import survey_audio
from mtl_cli.init.conll_looking import holds_words
from mtl_cli.init.image_boxes import asked_of_boxes, table_of_boxes
from mtl_cli.init.image_folder import choose
from mtl_cli.init.image_looking import (
    holds_images,
    image_columns,
    images_elsewhere,
    images_without_ending,
    named_images,
)
from mtl_cli.init.image_points import asked_points
from mtl_cli.init.image_survey import survey_images
from mtl_cli.init.running_text import TextColumn, look_at, running_text
from mtl_cli.init.sniff import doubtful_encoding, sniff_encoding
from mtl_cli.init.survey import open_unknown, survey_table
from mtl_cli.init.yaml_files import FileSurvey, Section, dataset_yaml, one_line, task_files
from mtl_cli.report.tables import table
from mtl_cli.tables.named_files import folder_with, place_of
from mtl_cli.tables.paths import data_path
from mtl_cli.tables.reading import TableFile, require_columns
from mtl_cli.texts.conll import ConllOptions

ARCHIVES, ANNOTATIONS = (".zip", ".tar", ".tgz", ".7z", ".rar"), (".yaml", ".yml", ".xml")
"""Endings of files that are not read themselves."""
SHOWN = 12
"""Columns that a message names."""
ELSEWHERE = "Paths are relative to the folder of the table: move it there, or say where the files are"


def init_config(source: str, output: Path, options: Mapping[str, Any]) -> None:
    """Look at a file, print what it is taken for and why, and write its dataset and tasks into a conf folder.

    Raises:
        UserError: the file cannot be used, an option is wrong, or a file would be overwritten.
    """
    check_options(options)
    root, seen = options.get(ROOT), tuple[str, ...]()
    path = Path(source).expanduser() if root is None else data_path(source, root, "path")
    if path.is_dir():
        chosen = choose(path, options.get("format", "auto"), bool(options.get("target")))
        source, seen = str(Path(source, chosen.path.relative_to(path))), chosen.others
        path = chosen.path
        options = options if chosen.form is None else {**options, "format": chosen.form}
    found = survey(path, options)
    shipped = group_options([conf_dir()])["dataset"]
    dataset = free_name(slug(path.name.split(".")[0], "data")[:MAX_NAME], shipped, "_data")
    files = {output / "dataset" / f"{dataset}.yaml": dataset_yaml(found, source)}
    tasks = task_files(found.tasks, dataset)
    further = task_files([replace(each, name=f"{dataset}_{each.name}") for each in found.auxiliary], dataset)
    files |= {output / "task" / f"{name}.yaml": text for name, text in {**tasks, **further}.items()}
    write_files(files, bool(options.get("overwrite", False)))
    lines = report(found, path, files, train_command(found, tasks, output, root))
    lines += [f"  with a task that needs no labels: task={'+'.join([*tasks, name])}" for name in further]
    told = None if "encoding" in options else found.encoding
    doubts = [f"look at this: {each}" for each in (doubtful_encoding(path, told) if told else ())]
    lines[1:1] = [f"  {one_line(each)}" for each in (*(f"not read: {name}" for name in seen), *doubts)]
    print("\n".join(lines))


def survey(path: Path, options: Mapping[str, Any]) -> FileSurvey:
    """Return a first look at a file, of the kind that it is of: words, texts or a table.

    Raises:
        UserError: the file cannot be used, or an option does not go with it.
    """
    if path.is_dir() and holds_sounds(path):
        return survey_audio(path, None, asked_of(options), kinds_of(options))
    if holds_images(path, options.get("format", "auto")):
        told = options.get("format", "auto")
        return survey_images(path, None, asked_of(options), kinds_of(options), told if told in FORMS else "auto")
    if told := other_file(path):
        raise UserError(told)
    if (boxes := table_of_boxes(path, options)) is not None:
        return survey_images(path, boxes, asked_of_boxes(options, boxes), kinds_of(options), BOXES)
    if not options.get("target"):
        raise UserError(no_target(path, options))
    if "source" in options:
        return survey_pairs_of(path, options)
    words = holds_words(path, options.get("format", "auto"), options.get("encoding"))
    kind, wrong = ("one word a line", ONLY_ROWS) if words else ("rows", ONLY_WORDS)
    if extra := [key for key in wrong if key in options]:
        raise UserError(f"{path} is a file of {kind}, so {extra[0]}={options[extra[0]]} does not apply. Leave it out.")
    return survey_words(path, options) if words else survey_rows_of(path, options)


def other_file(path: Path) -> str | None:
    """Return that a file is not one that tells of rows, by its ending, in words, and what to give; else None."""
    suffix = path.suffix.lower()
    if suffix in IMAGE_ENDINGS:
        return f"{path} is an image. Give the folder of all images, or a table that names them: input={path.parent}."
    if suffix in ARCHIVES:
        return f"{path} is an archive. Unpack it, and give the folder or a file in it."
    if suffix in ANNOTATIONS:
        return f"{path} tells of a set of images. Give the folder of the set: input={path.parent}."
    return None


def survey_rows_of(path: Path, options: Mapping[str, Any]) -> FileSurvey:
    """Return a first look at a file of rows, by what its columns hold: paths of sounds or images, texts, or a table.

    Raises:
        UserError: the file cannot be used, or an option does not go with it.
    """
    file = open_unknown(path, reading_of(options), asked_of(options).told)
    options = spelled_out(options, file.columns)
    folder = folder_of(file, options)
    files = place_of(file, options.get(ROOT), folder).folder
    pictured = image_columns(file, files)
    asked = replace(asked_points(options, file.columns) if pictured else asked_of(options), folder=folder)
    require_columns(asked.taken, file.columns, path)
    if sound_columns(file, files):
        return survey_audio(path, file, asked, kinds_of(options))
    if told := sounds_elsewhere(file, files):
        raise UserError(f"{told} {ELSEWHERE}: folder=DIR.")
    if pictured:
        return survey_images(path, file, asked, kinds_of(options))
    if told := images_elsewhere(file, files, asked.drop):
        raise UserError(f"{told} {ELSEWHERE}: folder=DIR, or leave the column out: drop=[…].")
    if told := images_without_ending(file, files, [*asked.drop, *asked.taken]):
        raise UserError(f"{told}; or leave the column out: drop=[…].")
    if "folder" in options:
        raise UserError(f"folder={folder} does not apply: {path} names no sounds and no images. Leave it out.")
    if kinds := kinds_of(options):
        raise UserError(f"kind.{next(iter(kinds))} does not apply: {path} names no sounds and no images. Leave it out.")
    texts = running_text(file, asked.taken) if "text" not in options else named_texts(file, options["text"])
    if texts:
        from mtl_cli.init.text_survey import survey_text

        return survey_text(file, texts, asked)
    return survey_table(file, asked)


def folder_of(file: TableFile, options: Mapping[str, Any]) -> str | None:
    """Return the folder of the sounds or images that a table names, as the dataset is told; None is the table's own.

    Raises:
        UserError: it is given, and is not there.
    """
    root, named = options.get(ROOT), {**named_images(file), **named_sounds(file)}
    if told := options.get("folder"):
        if not data_path(told, root, "folder").is_dir():
            raise UserError(f"folder is '{told}', which is not a folder. Name the one that paths are relative to.")
        return str(told)
    found = next(filter(None, (folder_with(paths, file.path.parent) for paths in named.values())), file.path.parent)
    if found == file.path.parent:
        return None
    return str(found if root is None else found.relative_to(Path(root).expanduser()))


def no_target(path: Path, options: Mapping[str, Any]) -> str:
    """Return the message that no target is given, with the columns that a table has."""
    message = "No target is given. Use for example 'target=[income,married]', the columns to predict."
    try:
        columns = open_unknown(path, reading_of(options), asked_of(options).told).columns
    except UserError:  # not a table, or one that cannot be read yet; the target comes first
        return message
    return f"{message} {path} has {', '.join(columns[:SHOWN])}{', …' if len(columns) > SHOWN else ''}."


def survey_pairs_of(path: Path, options: Mapping[str, Any]) -> FileSurvey:
    """Return a first look at a file of texts and of what is written of them.

    Raises:
        UserError: the file cannot be used, or an option does not go with it.
    """
    if extra := [key for key in ("text", "drop", "ignore_case", *ONLY_WORDS) if key in options]:
        raise UserError(f"{extra[0]}={options[extra[0]]} does not apply beside source=. Leave it out.")
    from mtl_cli.init.pair_survey import survey_pairs

    return survey_pairs(path, options["source"], reading_of(options), asked_of(options))


def survey_words(path: Path, options: Mapping[str, Any]) -> FileSurvey:
    """Return a first look at a file of labelled words.

    Raises:
        UserError: the file cannot be used.
    """
    targets = target_columns(options["target"], options.get("name"))
    if several := [columns for columns in targets.values() if len(columns) > 1]:
        raise UserError(f"target {'+'.join(several[0])}: labels of words are one column each. Use target=[a,b].")
    from mtl_cli.init.conll_survey import survey_conll  # needs tokenizers, which tables do not

    columns = None if options.get("columns") is None else tuple(map(str, options["columns"]))
    encoding = options.get("encoding") or sniff_encoding(path)
    how = ConllOptions(
        format=options.get("format", "auto"), columns=columns, word=options.get("word"), encoding=encoding
    )
    return survey_conll(path, how, {name: each[0] for name, each in targets.items()}, options.get("group"))


def named_texts(file: TableFile, value: Any) -> list[TextColumn]:  # noqa: ANN401  what was typed
    """Return the columns of text that were named; none for null.

    Raises:
        UserError: one is not there or named twice.
    """
    names = listed(value)
    if len(set(names)) < len(names):
        raise UserError(f"text is {value}, which names a column twice. Name each once.")
    require_columns(names, file.columns, file.path)
    return list(look_at(file, names).values())


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


def train_command(found: FileSurvey, tasks: Collection[str], output: Path, root: str | None = None) -> str:
    """Return the command that trains the tasks of these files."""
    words = ["mtl-train", "--config-dir", shlex.quote(str(output)), f"task={'+'.join(tasks)}"]
    words += [] if root is None else [shlex.quote(f"data.root={root}")]
    return " ".join([*words, *found.training().overrides])
