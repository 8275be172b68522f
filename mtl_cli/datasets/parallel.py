"""Texts beside texts that are to be written of them, such as translations: tables, or files aligned by lines."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mtl_cli.batch import Sample, WantedField
from mtl_cli.config.options import Options, option
from mtl_cli.datasets.base import Augmentation
from mtl_cli.datasets.file_base import BalancedFileOptions, fitted
from mtl_cli.datasets.text_base import TextColumns, TextFileSource
from mtl_cli.errors import UserError
from mtl_cli.tables.aligned_lines import AlignedLines, is_lines
from mtl_cli.tables.arrow import pa
from mtl_cli.tables.opening import Memory
from mtl_cli.tables.reading import ReadOptions, TableFile
from mtl_cli.tables.store import Table
from mtl_cli.tables.stratified_rules import StratifiedRules
from mtl_cli.texts.columns import file_rows
from mtl_cli.texts.encoding import text_rows
from mtl_cli.texts.piece_tokenizer import KINDS
from mtl_cli.texts.ragged import Ragged
from mtl_cli.texts.reading import row_texts
from mtl_cli.texts.source_pieces import SourcePieces, train_shared
from mtl_cli.texts.tokenizer import MAX_LENGTH, TextTokenizer, TokenizerOptions
from mtl_cli.texts.training import training_texts
from mtl_cli.texts.written import KIND as WRITING
from mtl_cli.texts.written import FittedWriting, WrittenTarget, fit_writing

logger = logging.getLogger("mtl_cli")


@dataclass(frozen=True, kw_only=True)
class PairOptions(Options):
    """What is read of pairs, and how."""

    source: str
    """Column of the texts that are read; of aligned files, the name that `path` stands for."""
    shared: bool = True
    """Whether sources and all targets are cut by one tokenizer, so that decoders can copy from sources."""
    cut: bool = False
    """Whether a source of more than max_length pieces loses its end, which is counted, or is an error."""
    hidden: float = option(0.0, low=0.0, below=1.0)
    """Share of the pieces of a source that are hidden in training; a target may then be the source itself."""
    copied: float = option(0.0, low=0.0, below=1.0)
    """Share of the rows whose targets are their source when they are drawn in training: what is never seen is then
    copied rather than made up."""

    def problems(self) -> list[str]:
        """Return what is wrong with the options, each and together."""
        found = super().problems()
        if self.copied and not self.shared:
            found.append("copied needs one tokenizer of sources and targets. Use shared=true, or copied=0.")
        return found


class ChangedPairs(Augmentation):
    """Hides pieces of a source, each with the same probability, and takes some sources for their own targets.

    Sources: Iyyer et al., "Deep unordered composition rivals syntactic methods", ACL 2015 (word dropout); where the
    target is the text itself, this is a denoising task: Lewis et al., "BART", ACL 2020 (token masking). Currey et al.,
    "Copied monolingual data improves low-resource neural machine translation", WMT 2017. Differs from it in that the
    copies are those of sources, in the draws of their own pairs.

    Args:
        hidden: probability that a piece is hidden.
        unknown: number of the piece that hides it.
        copied: probability that all targets of a row become its source, before anything is hidden.
        written: fields of targets.
    """

    def __init__(self, hidden: float, unknown: int, copied: float, written: Sequence[str]) -> None:
        self.hidden, self.unknown, self.copied, self.written = hidden, unknown, copied, list(written)

    def __call__(self, row: Sample) -> Sample:
        """Return the row, changed."""
        assert not isinstance(row.inputs, Tensor), "texts are inputs by name"
        ids, mask, fields = row.inputs["ids"], row.inputs["mask"], dict(row.fields)
        if float(torch.rand(())) < self.copied:
            fields |= {name: ids[mask] for name in self.written if name in fields}
        hidden = (torch.rand(ids.shape) < self.hidden) & mask
        return replace(row, inputs={**row.inputs, "ids": ids.masked_fill(hidden, self.unknown)}, fields=fields)


class Parallel(TextFileSource):
    """Inputs: the source's `ids` int64 [B, L] and `mask` bool [B, L], as in `Text`; batches are of like lengths.

    What is written of it, tasks declare: a column, or a file aligned with that of the source. An empty cell or line is
    a missing label of that task. Columns of other kinds of labels may stand beside them.

    Args:
        files, splits, reading, memory: as in `Text`.
        pairs: what is read of pairs.
        tokenizer: how texts are cut; where it is not shared, how sources are cut.

    Raises:
        UserError: the tokenizer cannot be shared.
    """

    def __init__(
        self,
        *,
        files: BalancedFileOptions,
        splits: StratifiedRules,
        reading: ReadOptions,
        pairs: PairOptions,
        tokenizer: TokenizerOptions,
        memory: Memory,
    ) -> None:
        self._pairs = pairs
        super().__init__(
            {},
            files=files,
            splits=splits,
            reading=reading,
            columns=TextColumns(text=pairs.source),
            tokenizer=tokenizer,
            memory=memory,
        )
        if pairs.shared and tokenizer.tokenizer not in KINDS:
            raise UserError(
                f"tokenizer is {tokenizer.tokenizer}, which targets cannot be written in. Use one of "
                f"{', '.join(KINDS)}, or shared=false."
            )
        if pairs.shared and tokenizer.min_count != 1:
            raise UserError(
                f"min_count is {tokenizer.min_count}, which a shared tokenizer does not know. Use vocab_size, or "
                "shared=false."
            )
        self._shared: SourcePieces | None = None

    def want(self, fields: Sequence[WantedField]) -> None:
        """Read the fields as the tasks say; how shared texts are cut, the dataset says."""
        if self._pairs.shared:
            problems = [
                f"tasks.{each.task}.pieces.{key} says how its texts are cut, as does the dataset, whose tokenizer is "
                f"shared. Leave it out: ~tasks.{each.task}.pieces.{key}. Or set tasks.{each.task}.dataset.shared=false."
                for each in fields
                if each.kind == WRITING and isinstance(each.reading.get("pieces"), Mapping)
                for key in each.reading["pieces"]
                if key != "longest"
            ]
            if problems:
                raise UserError(problems)
        super().want(fields)

    def check_written(self) -> None:
        """Refuse to write what is read, unless some of it is hidden."""
        if not self._pairs.hidden:
            try:
                super().check_written()
            except UserError as error:
                raise UserError(f"{error} Or hide a part of it from a denoising task: hidden=0.2.") from error

    def reader(self, path: Path) -> TableFile:
        """Return a table, or files that are aligned by lines.

        Raises:
            UserError: a file cannot be read, or numbers of lines differ.
        """
        if not is_lines(path, self._reading.format):
            return super().reader(path)
        return AlignedLines(path, self._reading, self._pairs.source, self.written_columns)

    def files_at(self, path: Path) -> list[Path]:
        """Return the file, with those that are aligned with it."""
        if not path.is_file() or not is_lines(path, self._reading.format):
            return super().files_at(path)
        found = self.reader(path)
        assert isinstance(found, AlignedLines)
        return list(found.files.values())

    def fit(self, found: Table, rows: np.ndarray) -> None:
        """Fit the targets and train the tokenizer: one on sources and targets, or one on each."""
        if self._pairs.shared:
            columns = list(dict.fromkeys([*self._texts, *self.written_columns]))
            texts = training_texts(self._files[found.path], columns, rows)
            self._shared = train_shared(self._options, texts)
        super().fit(found, rows)

    def fit_writing(self, target: WrittenTarget, file: TableFile, rows: np.ndarray) -> FittedWriting:
        """Return a text to be written, in the shared pieces where there are some."""
        return fit_writing(target, file, rows, None if self._shared is None else self._shared.inner)

    def fit_tokenizer(self, file: TableFile, rows: np.ndarray) -> TextTokenizer:
        """Return the shared tokenizer, or that of sources."""
        return super().fit_tokenizer(file, rows) if self._shared is None else self._shared

    def tokenizer_of(self, state: Mapping[str, Any]) -> TextTokenizer:
        """Return the tokenizer of a checkpoint."""
        return SourcePieces.of(state)

    def open(self) -> None:
        """Read the files and fit, as every source does, and make what changes training rows."""
        super().open()
        how = self._pairs
        if how.hidden or how.copied:
            unknown = fitted(self._tokenizer).specials.unknown
            self.augmentation = ChangedPairs(how.hidden, unknown, how.copied, list(self._fitted_writing))

    def encode_rows(self, rows: "pa.RecordBatch | pa.Table", path: Path, first_row: int = 0) -> dict[str, Tensor]:
        """Return the model's inputs of rows.

        Raises:
            UserError: the source is missing, or one is too long.
        """
        inputs = super().encode_rows(rows, path, first_row)
        if int(inputs["mask"].sum(dim=1).max()) >= self._options.max_length:
            texts = row_texts(rows, self._texts, path, first_row)
            self._check_lengths(text_rows(fitted(self._tokenizer), texts, MAX_LENGTH)[0], path, first_row)
        return inputs

    def cut_file(self, table: Table) -> Ragged:
        """Return the pieces of all rows of a file, none of which loses its end unless that is asked for."""
        if table.path not in self._pieces and not self._pairs.cut:
            how = self._texts, fitted(self._tokenizer), MAX_LENGTH, self._memory.path
            self._check_lengths(file_rows(self._files[table.path], *how), table.path, 0)
        return super().cut_file(table)

    def _check_lengths(self, pieces: Ragged, path: Path, first_row: int) -> None:
        """Refuse sources that are too long, or count those that are cut."""
        long = np.flatnonzero(pieces.lengths > self._options.max_length)
        if not long.size:
            return
        if self._pairs.cut:
            logger.warning("%s: %d sources are cut after %d pieces.", path, long.size, self._options.max_length)
            return
        most = int(pieces.lengths.max())
        raise UserError(
            f"{path}, column '{self._pairs.source}': {long.size} texts have more than max_length="
            f"{self._options.max_length} pieces, the first in row {first_row + long[0] + 1}, the longest {most}. Set "
            f"max_length={most}, or let them lose their ends: cut=true."
        )
