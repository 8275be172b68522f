"""A first look at a file of rows: how it is written, targets as they are likely meant, and what becomes of inputs."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mtl_cli.errors import UserError, some
from mtl_cli.init.asked import Asked
from mtl_cli.init.inputs import find_inputs
from mtl_cli.init.labels import guess_targets, read_labels
from mtl_cli.init.notation import written
from mtl_cli.init.row_survey import FoundRows
from mtl_cli.init.running_text import may_be_text
from mtl_cli.init.sniff import sniff_delimiter, sniff_encoding
from mtl_cli.init.splits import split_of, told_unused
from mtl_cli.init.table_survey import TableSurvey
from mtl_cli.init.total_rows import check_total_row
from mtl_cli.tables.formats import check_text, open_file
from mtl_cli.tables.reading import ReadOptions, TableFile, table_format

FEWEST_ROWS = 4
"""Rows of which each split gets one, and training two."""


def open_unknown(path: Path, options: ReadOptions, told: frozenset[str]) -> TableFile:
    """Return a file of rows; encoding and delimiter are found by looking, where they are not told.

    Raises:
        UserError: it cannot be read.
    """
    format = table_format(path, options.format)
    if format not in ("csv", "tsv"):
        return open_file(path, options)
    check_text(path, format)
    encoding = options.encoding if "encoding" in told else sniff_encoding(path)
    delimiter = options.delimiter or sniff_delimiter(path, encoding)
    return open_file(path, replace(options, delimiter=delimiter, encoding=encoding))


def survey_table(file: TableFile, asked: Asked) -> TableSurvey:
    """Return a first look at a table.

    Raises:
        UserError: cells cannot be read or have two meanings, or a target cannot be used.
    """
    found = survey_rows(file, asked, ())
    if found.inputs.drop.keys() >= {*file.columns} - {*asked.answers, *found.dividing}:
        left = "; ".join(f"{name}: {why}" for name, why in found.inputs.drop.items()) or "none"
        notes = "".join(f" {note}." for note in found.notes)
        texts = [name for name in found.inputs.drop if may_be_text(file.types[name])]
        fix = f" If '{texts[0]}' is to be read as a text, give text={texts[0]}." if texts else ""
        raise UserError(
            f"{file.path} has no input to predict {some(asked.answers)} from. Left out are {left}.{notes}{fix}"
        )
    return TableSurvey(found)


def survey_rows(file: TableFile, asked: Asked, texts: Sequence[str]) -> FoundRows:
    """Return what was found in a file of rows; `texts` are columns that its dataset reads by itself.

    Raises:
        UserError: cells cannot be read or have two meanings, or a target cannot be used.
    """
    inputs = [name for name in file.columns if name not in (*asked.taken, *texts)]
    found = written(file, [*asked.answers, *inputs], asked)
    rows = found.profile.rows
    if rows < FEWEST_ROWS:
        raise UserError(f"{file.path} has {rows} row{'s' * (rows != 1)}; training needs {FEWEST_ROWS} or more.")
    said = [*found.notes, *check_total_row(found.file, found.profile)]
    labels = read_labels(found.file, found.profile.columns, asked.answers, rows, found.missing)
    targets = guess_targets(found.file, labels, asked, rows, found.missing)
    split, drop = asked.split, dict.fromkeys(asked.drop, "drop= asks for that")
    if not split and (split := split_of(found.file, [n for n in inputs if found.profile.columns[n].kind == "text"])):
        inputs.remove(split)
        if asked.group:
            drop[split], split = f"it names splits, but group={asked.group} divides the rows", None
    said += told_unused([name for name in inputs if name not in drop])
    return FoundRows(
        file=found.file,
        profile=found.profile,
        targets=targets,
        missing=found.missing,
        inputs=find_inputs(found.file, found.profile, inputs, targets, drop, bool(texts), bool(split or asked.group)),
        notes=tuple(said),
        group=asked.group,
        split=split,
    )
