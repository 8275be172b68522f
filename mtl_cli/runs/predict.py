"""Predictions of a trained model for the rows of a table, for texts and for the words of sentences."""

import itertools
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace as changed
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from mtl_cli.config.run_config import checked, load_run_config, override
from mtl_cli.config.targets import Trust
from mtl_cli.errors import UserError
from mtl_cli.report.tables import duration
from mtl_cli.runs.predictor import Predictor, SentenceSource, build_predictor
from mtl_cli.storage import checkpoint
from mtl_cli.tasks.base import Columns
from mtl_cli.training.arithmetic import torch_settings

if TYPE_CHECKING:
    from mtl_cli.tables.arrow import pa
    from mtl_cli.tables.reading import TableFile

logger = logging.getLogger("mtl_cli")
SENTENCE_SUFFIXES = (".conll", ".conllu", ".conllup")


def predict(path: Path, source: Path, target: Path, overrides: Mapping[str, Any], folders: Sequence[Path] = ()) -> int:
    """Write the rows of the file `source` with the predictions of a checkpoint to `target`; return their number.

    Of CoNLL files they are the words.

    `overrides` are dotted keys of the run's config, such as trainer.device, and `batch_size` and `tasks`.

    Raises:
        UserError: the checkpoint or the file does not fit; nothing is written.
        RunFailure: the disk is full.
    """
    overrides = dict(overrides)
    size, names = overrides.pop("batch_size", 4096), overrides.pop("tasks", None)
    if type(size) is not int or size < 1:
        raise UserError(f"batch_size is {size!r}; it is a whole number ≥ 1. Use batch_size=4096.")
    state = checkpoint.load(checkpoint.find(path, "best"))
    config = checked(override(load_run_config(state["config"]), overrides))
    start = time.monotonic()
    with torch_settings(config):
        trust = Trust(tuple(overrides.get("trust", ())), tuple(folders))
        sentences = True if source.suffix.lower() in SENTENCE_SUFFIXES else None
        predictor = build_predictor(config, trust, state, names, sentences)
        added = predictor.empty_columns()
        if isinstance(next(iter(predictor.sources.values())), SentenceSource):
            rows = write_words(predictor, source, target, added, size, bool(config["quiet"]))
        else:
            rows = write_rows(predictor, source, target, added, size, bool(config["quiet"]))
    logger.info("%d rows with %s in %s, %s", rows, ", ".join(added), target, duration(time.monotonic() - start))
    return rows


def write_rows(predictor: Predictor, source: Path, target: Path, added: Columns, size: int, quiet: bool) -> int:
    """Write the rows of a table, each with its predictions; return their number.

    Raises:
        UserError: the file does not fit the checkpoint.
    """
    from mtl_cli.tables.writing import TableWriter
    from mtl_cli.texts.json_lines import JsonLinesFile, JsonLinesWriter

    rows = 0
    opened: TableFile = next(iter(predictor.sources.values())).reader(source)
    file = type(opened)(source, changed(opened.options, missing_values=()))  # cells go to the output as they are
    file.check_quotes()
    check_names(added, file)
    writer = JsonLinesWriter(target, file) if isinstance(file, JsonLinesFile) else TableWriter(target, file)
    with writer as out, progress(file, quiet) as bar:
        for first, batch in parts(file, size):
            out.write(batch, predictor.columns(batch, source, first))
            bar.update(batch.num_rows)
            rows += batch.num_rows
        if rows == 0:
            out.write(no_rows(file), added)
    return rows


def write_words(predictor: Predictor, source: Path, target: Path, added: Columns, size: int, quiet: bool) -> int:
    """Write the lines of a CoNLL file, each word with its predictions; return the number of words.

    Raises:
        UserError: the file does not fit the checkpoint.
    """
    from mtl_cli.texts.conll_writing import ConllWriter

    words = 0
    file = next(iter(predictor.sources.values())).sentence_reader(source)
    bar: tqdm[Any] = tqdm(unit="word", unit_scale=True, dynamic_ncols=True, leave=False, disable=quiet or None)
    sentences = file.sentences()
    with ConllWriter(target, file, list(added)) as out, bar:
        while batch := list(itertools.islice(sentences, size)):
            found = predictor.words([[cells[file.word] for cells in each.cells] for each in batch])
            numbers = [line for each in batch for line in each.lines]
            out.write(numbers, found)
            bar.update(len(numbers))
            words += len(numbers)
    return words


def check_names(added: Columns, file: "TableFile") -> None:
    """Refuse an input that has a column of the name of a prediction.

    Raises:
        UserError: every such column.
    """
    if twice := [name for name in added if name in file.columns]:
        raise UserError(
            f"{file.path} has the column{'s' * (len(twice) > 1)} {', '.join(twice)} already, as mtl-predict would name "
            "its own. Rename them in the file, or leave the task out: tasks=[…]."
        )


def parts(file: "TableFile", size: int) -> "Iterator[tuple[int, pa.RecordBatch]]":
    """Yield the number of the first row (from 0) and at most `size` rows of a file, to its end."""
    for first, batch in file.batches():
        for start in range(0, batch.num_rows, size):
            yield first + start, batch.slice(start, size)


def no_rows(file: "TableFile") -> "pa.RecordBatch":
    """Return a batch without a row, with the columns of a file."""
    from mtl_cli.tables.arrow import pa

    return pa.RecordBatch.from_arrays([pa.array([], kind) for kind in file.types.values()], names=file.columns)


def progress(file: "TableFile", quiet: bool) -> "tqdm[Any]":
    """Return a bar of rows, on a terminal; of CSV their number is that of the lines, which quoted cells may lower."""
    bar: tqdm[Any] = tqdm(unit="row", unit_scale=True, dynamic_ncols=True, leave=False, disable=quiet or None)
    if not bar.disable:
        bar.total = file.num_rows if file.num_rows is not None else count_lines(file.path)
    return bar


def count_lines(path: Path) -> int:
    """Return the number of line ends in a file."""
    from mtl_cli.tables.arrow import pa

    total = 0
    with pa.input_stream(str(path)) as stream:
        while block := stream.read(1 << 20):
            total += block.count(b"\n")
    return total
