"""Metrics of texts against sacrebleu on whole corpora, and by hand."""

import pytest
import torch

from mtl_cli.batch import NO_CLASS
from mtl_cli.metrics.written_texts import ExactMatch, TokenAccuracy
from mtl_cli.texts.piece_tokenizer import train_pieces

WRITTEN = ["Enter a valid date .", "Save all", "the cat", "", "Delete this item, please!"]
WANTED = ["Enter a valid day.", "Save all", "a dog sat on the mat", "Nothing", "Delete this item?"]
TOKENIZER = train_pieces("bpe", 60, False, WANTED)


def padded(texts, fill):
    rows = TOKENIZER.texts(texts)
    return torch.from_numpy(rows.padded(torch.arange(len(texts)).numpy(), fill)[0])


def by_batches(metric):
    for start in (0, 2):
        stop = 2 if start == 0 else 5
        metric.update(padded(WRITTEN[start:stop], 0), padded(WANTED[start:stop], NO_CLASS))
    return float(metric.compute())


@pytest.mark.parametrize("name", ["ChrF", "Bleu"])
def test_the_sums_of_batches_are_the_corpus_of_sacrebleu(name):
    pytest.importorskip("sacrebleu", reason="needs sacrebleu (the extra translation)")
    from sacrebleu.metrics import BLEU, CHRF

    from mtl_cli.metrics import sacrebleu_scores

    whole = (CHRF() if name == "ChrF" else BLEU()).corpus_score(WRITTEN, [WANTED]).score
    assert 10 < whole < 90
    assert by_batches(getattr(sacrebleu_scores, name)(TOKENIZER.pieces)) == pytest.approx(whole / 100, abs=1e-9)


def test_texts_are_the_same_or_not_however_they_are_cut():
    assert by_batches(ExactMatch(TOKENIZER.pieces)) == pytest.approx(1 / 5)
    letters = [[TOKENIZER.pieces.index(letter) for letter in "Save"]]
    whole = TOKENIZER.texts(["Save"])[0].tolist()
    assert len(whole) - 1 < len(letters[0])
    metric = ExactMatch(TOKENIZER.pieces)
    metric.update(torch.tensor(letters), torch.tensor([whole]))
    assert float(metric.compute()) == 1.0


def test_pieces_are_right_at_their_place_the_end_too():
    metric = TokenAccuracy()
    metric.update(torch.tensor([[5, 6, 2], [5, 2, 0]]), torch.tensor([[5, 7, 2, NO_CLASS], [5, 6, 7, 2]]))
    assert float(metric.compute()) == pytest.approx(3 / 7)
