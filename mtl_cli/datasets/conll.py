"""Sentences of labelled words from CoNLL and CoNLL-U files: inputs are pieces, labels of words any columns."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mtl_cli.batch import InputSpec, Sample, WantedField
from mtl_cli.datasets.base import Dataset
from mtl_cli.datasets.file_base import FileOptions, FileSource, Maker, fitted
from mtl_cli.datasets.reading_base import Beside, NewRows, Reading, Writer
from mtl_cli.errors import UserError
from mtl_cli.tables.declared_targets import undeclared
from mtl_cli.tables.given import GIVEN, Given
from mtl_cli.tables.split_rules import SplitRules
from mtl_cli.texts.conll import ConllFile, ConllOptions, Sentences
from mtl_cli.texts.conll_writing import ConllWriter
from mtl_cli.texts.encoding import SentenceRows, checked_length, example_inputs, sentence_rows, typical_length
from mtl_cli.texts.rows import TextRows, padded_inputs
from mtl_cli.texts.token_labels import TokenTarget, encode_tokens, fit_tokens, parse_token_targets
from mtl_cli.texts.tokenizer import TextTokenizer, TokenizerOptions
from mtl_cli.texts.training import fit_word_tokenizer

NOT_SENTENCES = (".csv", ".tsv", ".parquet", ".jsonl", ".ndjson", ".npz", ".npy")


class SentenceReading(Reading):
    """Sentences of a CoNLL file, each one row; predictions are made at the first piece of each word.

    Args:
        file: the file, opened as the dataset's own.
        encode: makes the model's inputs of sentences of words.
    """

    unit, suffix = "word", ".conll"

    def __init__(self, file: ConllFile, encode: Callable[[Sequence[Sequence[str]]], dict[str, torch.Tensor]]) -> None:
        super().__init__(file.path)
        self.file, self._encode = file, encode

    def batches(self, size: int) -> Iterator[NewRows]:
        """Yield the sentences, at most `size` at a time."""
        sentences = self.file.sentences()
        while batch := list(itertools.islice(sentences, size)):
            inputs = self._encode([[cells[self.file.word] for cells in each.cells] for each in batch])
            lines = [line for each in batch for line in each.lines]
            yield NewRows(inputs, [str(line) for line in lines], lines, inputs["words"])

    @property
    def columns(self) -> Sequence[str]:
        """No columns: those of the file go by position, so a prediction cannot be mistaken for one of them."""
        return ()

    def writer(self, target: Path, columns: Sequence[str]) -> Writer:
        """Return what writes the lines again, words with further columns."""
        return Beside(ConllWriter(target, self.file, columns))


class GivenSentences(Reading):
    """Sentences in memory, each a list of words; predictions are made at the first piece of each word."""

    unit = "word"

    def __init__(
        self,
        sentences: Sequence[Sequence[str]],
        encode: Callable[[Sequence[Sequence[str]]], dict[str, torch.Tensor]],
    ) -> None:
        super().__init__(GIVEN)
        self._sentences, self._encode = sentences, encode

    def batches(self, size: int) -> Iterator[NewRows]:
        """Yield the sentences, at most `size` at a time; rows are words."""
        for start in range(0, len(self._sentences), size):
            inputs = self._encode(self._sentences[start : start + size])
            names = [str(number) for number in range(int(inputs["words"].sum()))]
            yield NewRows(inputs, names, None, inputs["words"])


class Conll(FileSource[Sentences]):
    """Inputs: a mapping of `ids` int64 [B, L], `mask` bool [B, L] and `words` bool [B, L], first pieces of words.

    A label field is a column of the file: int64 [B, L], the class at the first piece of each word, −100 elsewhere. The
    tokenizer is trained on the training sentences and travels in `state_dict` with the classes.
    mtl_cli/datasets/README.md describes how lines become words, and what happens to bad input.

    Args:
        targets: label fields, each with its column: {pos: {kind: tokens, column: upos}}.
        missing_values: what a cell without a label holds.
        files: the file.
        splits: how its sentences are divided.
        reading: how files are read.
        tokenizer: how words are cut.
    """

    unit, fitted_kind = "sentence", TokenTarget

    def __init__(
        self,
        targets: Mapping[str, Any],
        missing_values: Sequence[str],
        *,
        files: FileOptions,
        splits: SplitRules,
        reading: ConllOptions,
        tokenizer: TokenizerOptions,
    ) -> None:
        super().__init__(files=files, splits=splits, targets={})
        self._reading, self._options = reading, tokenizer
        self._missing = [str(value) for value in missing_values]
        self._token_targets = parse_token_targets(targets, self._missing)
        self._tokenizer: TextTokenizer | None = None
        self._length = 2

    def want(self, fields: Sequence[WantedField]) -> None:
        """Read the fields that `targets` does not declare as the tasks say."""
        wanted = undeclared(fields, self._token_targets)
        nodes, tasks = {n: each.node for n, each in wanted.items()}, {n: each.task for n, each in wanted.items()}
        self._token_targets |= parse_token_targets(nodes, self._missing, tasks)

    def example(self) -> Sample:
        """Return two rows of unknown words, of the median length and half of it; shapes depend on nothing else."""
        inputs = example_inputs(self._length, fitted(self._tokenizer), words=True)
        return Sample({name: torch.from_numpy(value) for name, value in inputs.items()}, {})

    def sentence_reader(self, path: Path) -> ConllFile:
        """Return any file, read as this dataset's own.

        Raises:
            UserError: it cannot be read.
        """
        return ConllFile(path, self._reading)

    def reads(self, path: Path) -> bool:
        """Return True unless the name is that of a table or arrays."""
        return path.suffix.lower() not in NOT_SENTENCES

    def reading(self, path: Path) -> Reading:
        """Return the sentences of a file."""
        return SentenceReading(self.sentence_reader(path), self.encode_sentences)

    def reading_of(self, inputs: Given) -> Reading | None:
        """Return sentences of words."""
        if inputs.sentences is None:
            return None
        if empty := next((at for at, words in enumerate(inputs.sentences, start=1) if not words), None):
            raise UserError(f"{GIVEN}, row {empty}: a sentence without words. Leave it out.")
        return GivenSentences(inputs.sentences, self.encode_sentences)

    def preprocessing(self) -> dict[str, Any]:
        """Return the tokenizer and the longest row."""
        state, longest = fitted(self._tokenizer).state(), self._options.max_length
        return {"kind": "sentences", "tokenizer": state, "max_length": longest}

    def given_rows(self, split: str, most: int) -> Given:
        """Return the sentences of a split."""
        found, rows = self.divide()[split]
        return Given(sentences=[found.words[row] for row in rows[:most].tolist()])

    def encode_sentences(self, sentences: Sequence[Sequence[str]]) -> dict[str, torch.Tensor]:
        """Return the model's inputs of sentences of words; `words` marks the first piece of each, in order."""
        rows = self._cut(sentences)
        return padded_inputs(rows.ids, np.arange(len(rows.ids)), fitted(self._tokenizer).specials.pad, rows.words)

    @property
    def tokenizer(self) -> TextTokenizer | None:
        """What cuts words into pieces."""
        return self._tokenizer

    def input_state(self) -> dict[str, Any]:
        """Return the tokenizer and the median length of a row."""
        return {"tokenizer": fitted(self._tokenizer).state(), "length": self._length}

    def load_inputs(self, state: Mapping[str, Any]) -> None:
        """Take over tokenizer and length."""
        self._length = checked_length(state["length"], self._options.max_length)
        self._take(TextTokenizer.of(state["tokenizer"]))

    def _take(self, tokenizer: TextTokenizer) -> None:
        self._tokenizer = tokenizer
        self.input_spec = InputSpec("text", (), (tokenizer.size,), tokenizer.path)

    def read_rows(self, key: str) -> Sentences:
        """Return the sentences of a file with the columns of the targets."""
        file = self.sentence_reader(self.path_of(key))
        return Sentences(file, list(dict.fromkeys(target.column for target in self._token_targets.values())))

    def fit(self, found: Sentences, rows: np.ndarray) -> None:
        """Fit the classes of the targets, and train the tokenizer on the words."""
        self.keep_targets({name: fit_tokens(each, found, rows) for name, each in self._token_targets.items()})
        words = (" ".join(found.words[row]) for row in rows.tolist())
        self._take(fit_word_tokenizer(self._options, words, str(found.path)))
        self._length = typical_length(self._cut(found.words).ids.lengths)

    def _cut(self, words: Sequence[Sequence[str]]) -> SentenceRows:
        return sentence_rows(fitted(self._tokenizer), words, self._options.max_length)

    def encode(self, found: Sentences) -> Maker:
        """Return what makes a dataset of some sentences; a long sentence becomes several rows."""
        pieces, pad = self._cut(found.words), fitted(self._tokenizer).specials.pad
        labels = {name: pieces.labels(encode_tokens(target, found)) for name, target in self._fitted.items()}

        def make(numbers: np.ndarray) -> Dataset:
            rows = np.flatnonzero(np.isin(pieces.sentences, numbers))
            return TextRows(pieces.ids, rows, labels, pad, pieces.words)

        return make
