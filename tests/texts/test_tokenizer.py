"""Trained tokenizers: pieces of words are those of the whole text, in any script, the same in every process."""

import pickle
import subprocess
import sys

import pytest

from mtl_cli.errors import UserError
from mtl_cli.texts.encoding import sentence_rows, text_rows
from mtl_cli.texts.tokenizer import KINDS, TextTokenizer, TokenizerOptions
from mtl_cli.texts.training import train_tokenizer

TEXTS = [
    "The film was good, the end was not.",
    "这部电影很好,我喜欢它。",
    "Фильм был хороший; конец — нет!",
    "फ़िल्म अच्छी थी",
    "映画はとても良かった",
    "كان الفيلم جيدا",
    "Straße, naïve cafe\u0301 👍",
]
TRAINED = [kind for kind in KINDS if kind != "hf"]


def options(kind="bpe", **changes):
    told = {"tokenizer_path": None, "vocab_size": 300, "min_count": 1, "lowercase": False, "max_length": 512}
    return TokenizerOptions(tokenizer=kind, **told | changes)


def trained(kind, texts=TEXTS, **changes):
    return train_tokenizer(options(kind, **changes), texts)


@pytest.mark.parametrize("kind", TRAINED)
def test_pieces_of_words_are_those_of_the_whole_text(kind):
    tokenizer = trained(kind)
    rows = tokenizer.texts([*TEXTS, "never seen: Zebra 狗 ж"])
    for index, text in enumerate([*TEXTS, "never seen: Zebra 狗 ж"]):
        assert rows[index].tolist() == tokenizer._tokenizer.encode(text, add_special_tokens=False).ids


@pytest.mark.parametrize("kind", TRAINED)
@pytest.mark.parametrize("text", TEXTS)
def test_training_texts_of_every_script_have_no_unknown_piece(kind, text):
    tokenizer = trained(kind, vocab_size=2000)
    assert tokenizer.specials.unknown not in tokenizer.texts([text])[0]


def test_chinese_words_are_cut_into_their_characters():
    tokenizer = trained("words")
    assert tokenizer.texts(["我喜欢它"]).lengths.tolist() == [4]


@pytest.mark.parametrize("kind", TRAINED)
@pytest.mark.parametrize("text", ["", "   ", "\x00", "Ω Ω"])
def test_a_text_without_a_known_piece_is_unknown_pieces(kind, text):
    tokenizer = trained(kind)
    row = tokenizer.texts([text])[0].tolist()
    assert row
    assert tokenizer.specials.pad not in row
    assert tokenizer.specials.unknown in row


@pytest.mark.parametrize("kind", TRAINED)
def test_special_pieces_in_a_text_are_text(kind):
    row = trained(kind).texts(["[PAD] [SEP]"])[0].tolist()
    assert 0 not in row
    assert 2 not in row


@pytest.mark.parametrize("kind", TRAINED)
def test_every_word_has_a_first_piece(kind):
    tokenizer = trained(kind)
    sentences = [text.split() for text in TEXTS] + [["a\x07b", "\x07", "", "x" * 300]]
    pieces, first = tokenizer.words(sentences)
    for index, words in enumerate(sentences):
        assert first[index].sum() == len(words)
        assert first[index][0] == 1
        assert len(pieces[index]) == len(first[index]) >= len(words)


def test_unknown_words_in_a_vocabulary_that_was_cut_off():
    tokenizer = trained("words", ["a a a a b b b c"], vocab_size=5)
    assert tokenizer.size == 5
    assert tokenizer.texts(["a b c"])[0].tolist() == [3, 4, 1]
    assert trained("words", ["a a b"], min_count=2).size == 4


@pytest.mark.parametrize("kind", TRAINED)
def test_a_tokenizer_is_the_same_after_a_checkpoint_and_a_pickle(kind):
    tokenizer = trained(kind)
    for other in (TextTokenizer.of(tokenizer.state()), pickle.loads(pickle.dumps(tokenizer))):
        assert other.texts(TEXTS).values.tolist() == tokenizer.texts(TEXTS).values.tolist()
        assert other.definition == tokenizer.definition


SCRIPT = """
import random, hashlib
from tests.texts.test_tokenizer import trained
stream = random.Random(0)
texts = [" ".join("".join(stream.choice("abcdef") for _ in range(6)) for _ in range(8)) for _ in range(300)]
print([hashlib.sha256(trained(kind, texts).definition.encode()).hexdigest() for kind in ("bpe", "wordpiece", "words")])
"""


def test_training_gives_the_same_pieces_in_every_process():
    runs = [
        subprocess.run([sys.executable, "-c", SCRIPT], check=True, capture_output=True, text=True).stdout
        for _ in range(2)
    ]
    assert runs[0] == runs[1]
    assert len(runs[0]) > 100


def test_texts_are_cut_and_columns_stand_side_by_side():
    tokenizer = trained("words", ["a b c d"])
    rows, cut = text_rows(tokenizer, [["a b", "a"], ["c d d d", "b"]], max_length=5)
    assert [rows[0].tolist(), rows[1].tolist()] == [[3, 4, 2, 5, 6], [3, 2, 4]]
    assert cut == 1


def test_a_long_sentence_is_several_rows_with_all_of_its_words():
    tokenizer = trained("characters", ["abc"])
    a, b, c = (int(tokenizer.texts([letter])[0][0]) for letter in "abc")
    rows = sentence_rows(tokenizer, [["ab", "c"], ["abc", "ab", "aaaaaa", "c"], ["a"]], max_length=4)
    assert [rows.ids[index].tolist() for index in range(len(rows.ids))] == [
        [a, b, c], [a, b, c], [a, b], [a] * 4, [c], [a],
    ]  # fmt: skip
    assert rows.sentences.tolist() == [0, 1, 1, 1, 1, 2]
    labels = rows.labels(rows.words.values[rows.words.values > 0] * [0, 1, 2, 3, 4, 5, 6])
    found = [labels[index].tolist() for index in range(len(rows.ids))]
    assert found == [[0, -100, 1], [2, -100, -100], [3, -100], [4, -100, -100, -100], [5], [6]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "bpee"}, "Did you mean 'bpe'"),
        ({"kind": "hf"}, "tokenizer_path=FOLDER"),
        ({"tokenizer_path": "x"}, "Use tokenizer=hf"),
        ({"vocab_size": 3}, "vocab_size=8000"),
        ({"min_count": 0}, "min_count=1"),
        ({"max_length": 0}, "max_length=512"),
    ],
)
def test_options_that_do_not_fit_are_told(changes, message):
    with pytest.raises(UserError, match=message):
        options(**{"kind": "bpe", **changes})
