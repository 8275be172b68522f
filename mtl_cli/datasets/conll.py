"""Sentences of labelled words from CoNLL and CoNLL-U files: pieces in, any columns out as labels of words."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mtl_cli.batch import InputSpec, Sample
from mtl_cli.data_options import checked_batch_size
from mtl_cli.datasets.base import Dataset, DataSource
from mtl_cli.errors import UserError
from mtl_cli.tables.paths import data_path
from mtl_cli.tables.split_rules import SPLITS, SplitRules, check_groups_apart
from mtl_cli.texts.conll import ConllFile, ConllOptions, Sentences
from mtl_cli.texts.encoding import SentenceRows, example_inputs, sentence_rows, typical_length
from mtl_cli.texts.ragged import Ragged
from mtl_cli.texts.rows import TextRows, padded_inputs
from mtl_cli.texts.token_labels import TokenTarget, encode_tokens, fit_tokens, parse_token_targets
from mtl_cli.texts.tokenizer import TextTokenizer, TokenizerOptions
from mtl_cli.texts.training import fit_word_tokenizer


class Conll(DataSource):
    """Inputs: a mapping of `ids` int64 [B, L], `mask` bool [B, L] and `words` bool [B, L], first pieces of words.

    A label field is a column of the file: int64 [B, L], the class at the first piece of each word, −100 elsewhere. How
    lines become words, and what becomes of bad input: mtl_cli/datasets/README.md. The tokenizer is trained on the
    training sentences and travels in `state_dict` with the classes.

    Args:
        root: folder that the paths are in, which they may not leave; None is the working directory.
        path: the file; its sentences are divided unless `val_path` and `test_path` name the other splits.
        val_path: file of the validation sentences.
        test_path: file of the test sentences.
        format: auto (by the file's name), conll or conllu.
        encoding: of the file.
        columns: names of the columns of CoNLL, in order; CoNLL-U names its own.
        word: column of the words; None is form in CoNLL-U, else the first one.
        targets: label fields, each with its column: {pos: {kind: tokens, column: upos}}.
        missing_values: what a cell without a label holds.
        tokenizer: bpe, wordpiece, words or characters, trained; or hf, that of a pretrained model.
        tokenizer_path: folder or hub name of that model.
        vocab_size: pieces of a trained tokenizer, at most.
        min_count: times that a piece must occur in training.
        lowercase: whether capitals are made small.
        max_length: pieces of a row; a longer sentence is several rows.
        split_column: key of comments that say train, val or test.
        group_column: key of comments whose groups are kept in one split, such as newdoc id; of CoNLL `document`.
        val_fraction: share of the sentences for validation.
        test_fraction: share of the sentences for test.
        split_seed: seed of the division.
        folds: number of folds; the fold `fold` is the test split.
        fold: which of them, from 0.
        batch_size: rows drawn a step.

    Raises:
        UserError: an option does not fit.
    """

    def __init__(
        self,
        root: str | None,
        path: str,
        val_path: str | None,
        test_path: str | None,
        format: str,
        encoding: str,
        columns: Sequence[str] | None,
        word: str | None,
        targets: Mapping[str, Any],
        missing_values: Sequence[str],
        tokenizer: str,
        tokenizer_path: str | None,
        vocab_size: int,
        min_count: int,
        lowercase: bool,
        max_length: int,
        split_column: str | None,
        group_column: str | None,
        val_fraction: float,
        test_fraction: float,
        split_seed: int,
        folds: int | None,
        fold: int,
        batch_size: int,
    ) -> None:
        self.batch_size = checked_batch_size(batch_size)
        self._root, self._paths = root, {"path": path, "val_path": val_path, "test_path": test_path}
        self._read = ConllOptions(format, None if columns is None else tuple(columns), word, encoding)
        self._rules = SplitRules(
            val_path, test_path, split_column, group_column, val_fraction, test_fraction, split_seed, None, folds, fold
        )
        self._rules.check()
        self._targets = parse_token_targets(targets, [str(value) for value in missing_values])
        self._options = TokenizerOptions(tokenizer, tokenizer_path, vocab_size, min_count, lowercase, max_length)
        self._options.check()
        self._tokenizer: TextTokenizer | None = None
        self._length = 2
        self._fitted: dict[str, TokenTarget] = {}
        self._splits: dict[str, Dataset] = {}

    def open(self) -> None:
        """Read the files, divide the sentences, and train the tokenizer and fit the targets unless a state was loaded.

        Raises:
            UserError: a file cannot be used; file, line and column are named.
        """
        parts = self._divide()
        sentences, rows = parts["train"]
        if self._tokenizer is None:
            fitted = {name: fit_tokens(each, sentences, rows) for name, each in self._targets.items()}
            words = (" ".join(sentences.words[row]) for row in rows.tolist())
            self._take(fit_word_tokenizer(self._options, words, str(sentences.path)), self._length, fitted)
            self._length = typical_length(self._encode(sentences.words).ids.lengths)
        encoded: dict[int, tuple[SentenceRows, dict[str, Ragged]]] = {}
        for name, (found, numbers) in parts.items():
            if id(found) not in encoded:
                pieces = self._encode(found.words)
                labels = {each: pieces.labels(encode_tokens(target, found)) for each, target in self._fitted.items()}
                encoded[id(found)] = pieces, labels
            pieces, labels = encoded[id(found)]
            here = np.flatnonzero(np.isin(pieces.sentences, numbers))
            self._splits[name] = TextRows(pieces.ids, here, labels, self._told().specials.pad, pieces.words)

    def split(self, name: str) -> Dataset:
        """Return the rows of "train", "val" or "test"."""
        return self._splits[name]

    def example(self) -> Sample:
        """Return two rows of unknown words, of the median length and half of it: all that shapes depend on."""
        inputs = example_inputs(self._length, self._told(), words=True)
        return Sample({name: torch.from_numpy(value) for name, value in inputs.items()}, {})

    def state_dict(self) -> dict[str, Any]:
        """Return the tokenizer, the median length of sentences, and the targets."""
        targets = {name: each.state() for name, each in self._fitted.items()}
        return {"tokenizer": self._told().state(), "length": self._length, "targets": targets}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over tokenizer and targets; nothing is fitted then."""
        fitted = {name: TokenTarget.of(each) for name, each in state["targets"].items()}
        self._take(TextTokenizer.of(state["tokenizer"]), state["length"], fitted)

    def sentence_reader(self, path: Path) -> ConllFile:
        """Return any file, read as this dataset's own.

        Raises:
            UserError: it cannot be read.
        """
        return ConllFile(path, self._read)

    def encode_sentences(self, sentences: Sequence[Sequence[str]]) -> dict[str, torch.Tensor]:
        """Return the model's inputs of sentences of words; `words` marks the first piece of each, in order."""
        rows = self._encode(sentences)
        return padded_inputs(rows.ids, np.arange(len(rows.ids)), self._told().specials.pad, rows.words)

    def _told(self) -> TextTokenizer:
        assert self._tokenizer is not None, "the source is opened, or was given a state"
        return self._tokenizer

    def _take(self, tokenizer: TextTokenizer, length: int, fitted: dict[str, TokenTarget]) -> None:
        self._tokenizer, self._length, self._fitted = tokenizer, length, fitted
        self.input_spec = InputSpec("text", (), (tokenizer.size,), tokenizer.path)
        self.field_specs = {name: each.field_spec for name, each in fitted.items()}

    def _encode(self, words: Sequence[Sequence[str]]) -> SentenceRows:
        return sentence_rows(self._told(), words, self._options.max_length)

    def _divide(self) -> dict[str, tuple[Sentences, np.ndarray]]:
        """Return the sentences of a file and which of them are in each split."""
        main = self._open("path")
        if len(main) < 2:
            raise UserError(f"{main.path} has {len(main)} sentence{'s' * (len(main) != 1)}; training needs 2 or more.")
        split = self._rules.assign(main, {})
        parts = {name: (main, np.flatnonzero(split == number)) for name, number in SPLITS.items()}
        for name in ("val", "test"):
            if self._paths[f"{name}_path"]:
                other = self._open(f"{name}_path")
                parts[name] = other, np.arange(len(other))
        if self._rules.group:
            check_groups_apart(list({id(found): found for found, _ in parts.values()}.values()), self._rules.group)
        return parts

    def _open(self, key: str) -> Sentences:
        file = ConllFile(data_path(str(self._paths[key]), self._root, key), self._read)
        return Sentences(file, list(dict.fromkeys(target.column for target in self._targets.values())))
