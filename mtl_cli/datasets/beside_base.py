"""Table columns and texts that stand beside what a dataset reads, such as images: options, fitting, new rows."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from mtl_cli.config.options import option
from mtl_cli.datasets.text_base import TextColumns
from mtl_cli.errors import UserError, nearest
from mtl_cli.tables.arrow import pa
from mtl_cli.tables.columns import InputColumns
from mtl_cli.tables.notation import Notation
from mtl_cli.tables.reading import SUFFIXES, ReadOptions, TableFile, require_columns
from mtl_cli.tables.store import Table
from mtl_cli.texts.beside import Beside, fitted_text
from mtl_cli.texts.tokenizer import KINDS, MAX_LENGTH, TokenizerOptions
from mtl_cli.texts.training import fit_tokenizer

logger = logging.getLogger("mtl_cli")
NewBeside = Callable[[int, int], Mapping[str, Tensor]]
"""Makes the inputs of new rows, from the number of the first and how many there are."""


@dataclass(frozen=True, kw_only=True)
class BesideColumns(TextColumns):
    """Columns that are inputs beside the image: by default there are none."""

    text: str | Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class BesideTokenizer(TokenizerOptions):
    """How texts beside an image are cut into pieces."""

    tokenizer: str = option("words", choices=KINDS)
    tokenizer_path: str | None = None
    vocab_size: int = option(8000, low=4)
    min_count: int = option(1, low=1)
    lowercase: bool = True
    max_length: int = option(256, low=4, below=MAX_LENGTH + 1)


def check_beside(columns: BesideColumns, listed: Sequence[str], answers: Sequence[str]) -> None:
    """Compare the columns beside an image, `listed` those of a table, with those of the answers.

    Raises:
        UserError: a column is an input and an answer.
    """
    if both := [name for name in (*columns.texts, *listed) if name in answers]:
        raise UserError(
            f"Column '{both[0]}' is an input beside the image and a target: the answer would leak into the question. "
            "Leave it out of text, numeric and categorical."
        )


def fit_beside(
    columns: BesideColumns,
    tokenizer: BesideTokenizer,
    chosen: InputColumns,
    file: TableFile,
    table: Table,
    rows: np.ndarray,
    folder: Path,
) -> Beside | None:
    """Return the chosen columns and the texts of a file, fitted on its training `rows` [N]; None without any."""
    if not chosen.any and not columns.texts:
        return None
    found = columns.fitted(chosen, table, rows, columns.min_category_count) if chosen.any else None
    if not columns.texts:
        return Beside(found, None)
    cut = fit_tokenizer(tokenizer, file, columns.texts, rows, folder)
    return Beside(found, fitted_text(columns.texts, cut, file, rows, tokenizer.max_length, folder))


def table_beside(folder: Path, columns: Sequence[str], reading: ReadOptions) -> Path | None:
    """Return the one table in a folder that has all of some columns; None where there is none, or several."""
    tables = sorted(each for each in folder.iterdir() if each.is_file() and each.suffix.lower() in SUFFIXES)
    found = [path for path in tables if set(columns) <= set(TableFile(path, reading).columns)]
    return found[0] if len(found) == 1 else None


def of_file(beside: Beside, file: TableFile) -> NewBeside:
    """Return what makes the inputs of the rows of a file."""
    return of_table(beside, columns_of(beside, file), file.options.notation, file.path)


def columns_of(beside: Beside, file: TableFile) -> "pa.Table":
    """Return those of the columns that a file has, as they are written."""
    plain = file.verbatim()
    batches = [batch for _, batch in plain.batches([name for name in beside.columns if name in plain.columns])]
    return pa.Table.from_batches(batches)


def rows_beside(beside: Beside, file: TableFile, rows: np.ndarray) -> "pa.Table":
    """Return the columns of some rows [N] of a file, as they are written."""
    return columns_of(beside, file).take(pa.array(rows))


def of_table(beside: Beside, table: "pa.Table", how: Notation, path: Path) -> NewBeside:
    """Return what makes the inputs of the rows of a table in memory; columns that it lacks count as missing.

    Raises:
        UserError: it has a column of nearly the same name.
    """
    absent = [name for name in beside.columns if name not in table.column_names]
    if misspelt := [name for name in absent if nearest(name, {*table.column_names} - {*beside.columns})]:
        require_columns(misspelt, table.column_names, path)
    if len(absent) == len(beside.columns):
        return of_nothing(beside, path)
    if absent:
        logger.warning("%s has no column %s, which count as missing in all rows.", path, ", ".join(absent))
    for name in absent:
        table = table.append_column(name, pa.nulls(len(table), pa.string()))
    return lambda first, count: beside.of_batch(table.slice(first, count).combine_chunks(), how, path, first)


def of_nothing(beside: Beside, path: Path) -> NewBeside:
    """Return what makes the inputs of rows that come without columns, which is told."""
    names = ", ".join(beside.columns)
    logger.warning(
        "%s gives images alone, and the model also reads %s. They count as missing; a table with these columns "
        "makes better predictions: input=TABLE.csv.",
        path, names,
    )  # fmt: skip
    return lambda first, count: beside.missing(count)
