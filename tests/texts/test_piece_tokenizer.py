"""Pieces of texts that are written: a text comes back whole, whatever the training texts held."""

import pytest

from mtl_cli.texts.piece_tokenizer import END, KINDS, SPECIALS, PieceTokenizer, one_line, text_of, train_pieces

TRAINING = ["Enter a valid “%(name)s” value, 2024!", "  Élan\n vital [UNK] x", "Enter a date"]
STRANGE = ["", "a", "日本 語", "new ø Zebra [PAD] [END]", "%(count)d  items", "E\u0301lan"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [4, 40, 4000])
def test_every_text_comes_back_whole_in_one_line(kind, size):
    tokenizer = train_pieces(kind, size, False, TRAINING)
    for text in TRAINING + STRANGE:
        pieces = tokenizer.texts([text])[0].tolist()
        assert pieces[-1] == END
        assert END not in pieces[:-1]
        assert text_of(tokenizer.pieces, pieces) == one_line(text)


@pytest.mark.parametrize("kind", KINDS)
def test_pieces_come_first_that_training_texts_have_and_characters_they_lack_are_numbered_behind(kind):
    tokenizer = train_pieces(kind, 4000, False, TRAINING)
    assert tokenizer.pieces[: len(SPECIALS)] == SPECIALS
    assert max(tokenizer.texts(TRAINING).values) < len(tokenizer)
    assert len(tokenizer) + ord("ø") in tokenizer.texts(["ø"]).values


def test_the_same_texts_make_the_same_pieces_and_capitals_may_become_small():
    assert train_pieces("bpe", 60, False, TRAINING) == train_pieces("bpe", 60, False, TRAINING)
    small = train_pieces("words", 100, True, TRAINING)
    assert text_of(small.pieces, small.texts(["ENTER A Date"])[0]) == "enter a date"


def test_frequent_letters_in_a_row_become_one_piece_but_never_with_digits_or_signs():
    tokenizer = train_pieces("bpe", 4000, False, ["value, 10 value, 10 value, 10"] * 3)
    assert {"▁value", ",", "1", "0"} <= set(tokenizer.pieces)
    assert not {"value,", "▁value,", "10", "▁10"} & set(tokenizer.pieces)


@pytest.mark.parametrize("kind", KINDS)
def test_a_tokenizer_comes_back_from_a_checkpoint_and_nonsense_is_refused(kind):
    tokenizer = train_pieces(kind, 50, True, TRAINING)
    state = tokenizer.state()
    again = PieceTokenizer.of(state)
    assert again == tokenizer
    assert (again.texts(TRAINING).values == tokenizer.texts(TRAINING).values).all()
    wrong = (
        {"kind": "magic"}, {"pieces": [*state["pieces"], 7]}, {"pieces": state["pieces"][1:]}, {"lowercase": 1},
        {"pieces": [*state["pieces"], state["pieces"][-1]]}, {"merges": [["q", "q"]]},
    )  # fmt: skip
    for changes in wrong:
        with pytest.raises(ValueError, match=r"pieces|kind"):
            PieceTokenizer.of({**state, **changes})
