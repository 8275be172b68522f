"""Label fields that are texts to be written, such as translations: declared, fitted, and turned into pieces."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from mtl_cli.batch import FieldSpec, WantedField
from mtl_cli.config.annotations import one_of, typed
from mtl_cli.errors import UserError, nearest
from mtl_cli.tables.declared_targets import DeclaredField
from mtl_cli.tables.reading import TableFile
from mtl_cli.texts.piece_tokenizer import KINDS, PieceTokenizer, train_pieces
from mtl_cli.texts.ragged import Ragged, stacked
from mtl_cli.texts.reading import text_batches
from mtl_cli.texts.written_rows import WrittenRows

logger = logging.getLogger("mtl_cli")
KIND = "pieces"
"""The kind of such a field."""
LONGEST = 4096
"""Pieces that a text may have where it is not asked that longer ones are cut."""


@dataclass(frozen=True)
class Pieces:
    """How texts to be written are cut: the mapping `pieces` of a task's node."""

    kind: str = "bpe"
    """bpe (frequent letters in a row, inside words), words, or characters."""
    size: int = 4000
    """Pieces, at most; bpe has at least all characters."""
    lowercase: bool = False
    """Whether capitals become small letters."""
    longest: int | None = None
    """Pieces beyond which a text is cut; None cuts none, and refuses a text of more than `LONGEST`."""


@dataclass(frozen=True)
class WrittenTarget(DeclaredField):
    """A column of texts to be written, and how they are cut into pieces."""

    column: str
    pieces: Pieces = Pieces()


def parse_written(wanted: WantedField) -> WrittenTarget:
    """Return the target that a task's node says how to read.

    Raises:
        UserError: a value does not fit; everything wrong is named.
    """
    where = DeclaredField(wanted.name, task=wanted.task).where
    reading = {"column": wanted.name, **wanted.reading}
    problems = [
        f"tasks.{wanted.task}.{key} does not apply to texts to be written. Leave it out: ~tasks.{wanted.task}.{key}."
        for key in reading
        if key not in ("column", "pieces")
    ]
    if not isinstance(reading["column"], str):
        problems.append(f"{where}.column is {reading['column']!r}; it is the name of a column.")
    node = reading.get("pieces") or {}
    names = {each.name: each.type for each in fields(Pieces)}
    if not isinstance(node, Mapping):
        problems.append(f"{where}.pieces is {node!r}; it is a mapping such as {{kind: bpe, size: 4000}}.")
        raise UserError(problems)
    problems += [
        f"{where}.pieces.{key} is unknown.{nearest(str(key), names)} Known: {', '.join(names)}."
        for key in node
        if key not in names
    ]
    found = Pieces(**{key: value for key, value in node.items() if key in names})
    if found.kind not in KINDS:
        problems.append(one_of(f"{where}.pieces.kind", found.kind, KINDS))
    if type(found.lowercase) is not bool:
        problems.append(f"{where}.pieces.lowercase is {found.lowercase!r}; it is true or false.")
    for key, low in (("size", 4), ("longest", 1)):
        value = getattr(found, key)
        if not (value is None and key == "longest") and (type(value) is not int or value < low):
            problems.append(f"{where}.pieces.{key} is {value!r}; it is a whole number from {low} on.")
    if problems:
        raise UserError(problems)
    return WrittenTarget(wanted.name, reading["column"], found, task=wanted.task)


@dataclass(frozen=True)
class FittedWriting:
    """A target with the tokenizer of its training texts, and the number of pieces of the longest one, its end too."""

    target: WrittenTarget
    tokenizer: PieceTokenizer
    longest: int
    copies: bool = False
    """Whether the pieces of the inputs have the same numbers, so that they can be copied."""

    @property
    def field_spec(self) -> FieldSpec:
        """What a task sees of the field."""
        return FieldSpec(
            KIND,
            num_classes=len(self.tokenizer),
            class_names=self.tokenizer.pieces,
            columns=(self.target.column,),
            varying=True,
            longest=self.longest,
            copies=self.copies,
        )

    def state(self) -> dict[str, Any]:
        """Return plain data for a checkpoint."""
        target = {"name": self.target.name, "column": self.target.column, "pieces": vars(self.target.pieces)}
        return {"target": target, "tokenizer": self.tokenizer.state(), "longest": self.longest, "copies": self.copies}

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> "FittedWriting":
        """Return the target of a checkpoint.

        Raises:
            ValueError: the state is not that of a target.
        """
        longest = state["longest"]
        if type(longest) is not int or not 1 <= longest <= 1 << 20:
            raise ValueError(f"the longest text has {str(longest)[:40]} pieces")
        target = typed(WrittenTarget, {**state["target"], "pieces": typed(Pieces, state["target"]["pieces"])})
        if type(state["copies"]) is not bool:
            raise ValueError(f"whether pieces can be copied is {str(state['copies'])[:40]}")
        return cls(target, PieceTokenizer.of(state["tokenizer"]), longest, state["copies"])


def fit_writing(
    target: WrittenTarget, file: TableFile, rows: np.ndarray, shared: PieceTokenizer | None = None
) -> FittedWriting:
    """Return a target with the tokenizer of the training `rows` [N] of a file, or with the one that is shared.

    Raises:
        UserError: no training row has a text.
    """
    texts = [text for text in np.array(column_of(file, target.column), dtype=object)[rows].tolist() if text.strip()]
    if not texts:
        raise UserError(
            f"{file.path}, column '{target.column}': {target.where} is to be written, but no training row has a text. "
            "Name another column, or leave the task out."
        )
    how = target.pieces
    tokenizer = train_pieces(how.kind, how.size, how.lowercase, texts) if shared is None else shared
    longest = int(tokenizer.texts(texts).lengths.max())
    if target.pieces.longest is not None:
        longest = min(longest, target.pieces.longest + 1)
    return FittedWriting(target, tokenizer, longest, copies=shared is not None)


def column_of(file: TableFile, column: str) -> list[str]:
    """Return the texts of a column, as they stand; a cell without one is empty."""
    return [text for texts in text_batches(file, [column]) for text in texts[0]]


def written_rows(fitted: FittedWriting, file: TableFile) -> WrittenRows:
    """Return the pieces of the texts of a file, and log what deserves a look: cut texts, characters never seen.

    Raises:
        UserError: a text is too long, and it is not asked that it is cut.
    """
    target, tokenizer = fitted.target, fitted.tokenizer
    where = f"{file.path}, column '{target.column}'"
    parts, present, cut, strange, row = [], [], 0, 0, 0
    for (texts,) in text_batches(file, [target.column]):
        pieces = tokenizer.texts(texts)
        lengths = pieces.lengths - 1
        if target.pieces.longest is not None:
            cut += int((lengths > target.pieces.longest).sum())
            pieces = with_end(pieces, target.pieces.longest)
        elif (lengths > LONGEST).any():
            first = int(np.argmax(lengths > LONGEST))
            raise UserError(
                f"{where}, row {row + first + 1}: the text has {lengths[first]} pieces, more than {LONGEST}. To cut "
                f"such texts: {target.override}.pieces.longest={LONGEST}"
            )
        unseen = np.add.reduceat(pieces.values >= len(tokenizer), pieces.offsets[:-1]) if len(texts) else np.zeros(0)
        strange += int((unseen > 0).sum())
        parts.append(pieces)
        present.append(np.array([bool(text.strip()) for text in texts], dtype=bool))
        row += len(texts)
    if cut:
        logger.warning("%s: %d texts are cut after pieces.longest=%d pieces.", where, cut, target.pieces.longest)
    if strange:
        logger.warning(
            "%s: %d texts have characters or words that the training rows never have; these cannot be written.",
            where, strange,
        )  # fmt: skip
    return WrittenRows(stacked(parts), np.concatenate([np.zeros(0, dtype=bool), *present]))


def with_end(rows: Ragged, length: int) -> Ragged:
    """Return rows of at most `length` pieces and their end, which is the last value of each row."""
    longer = rows.lengths > length + 1
    if not longer.any():
        return rows
    ends = rows.values[rows.offsets[1:] - 1]
    kept = rows.cut(length + 1)
    values = kept.values.copy()
    values[kept.offsets[1:] - 1] = ends
    return Ragged(values, kept.offsets)
