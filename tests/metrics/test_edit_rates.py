import pytest
import torch
from torchmetrics.functional.text import char_error_rate, word_error_rate

from mtl_cli.metrics.edit_rates import CharErrors, WordErrors, edit_distance
from mtl_cli.texts.piece_tokenizer import text_of

PIECES = ("[PAD]", "[UNK]", "[END]", "a", "b", " ", "c")


def test_distances_by_hand():
    assert edit_distance("kitten", "sitting") == 3  # k to s, e to i, and a g put in
    assert edit_distance("", "abc") == edit_distance("abc", "") == 3
    assert edit_distance(["a", "b"], ["b"]) == 1
    assert edit_distance("same", "same") == 0


def test_rates_are_those_of_torchmetrics():
    written, wanted = torch.randint(3, 7, (2, 12, 9))
    texts = [[text_of(PIECES, row) for row in each.tolist()] for each in (written, wanted)]
    for metric, reference in ((CharErrors(PIECES), char_error_rate), (WordErrors(PIECES), word_error_rate)):
        for part in (slice(0, 5), slice(5, None)):
            metric.update(written[part], wanted[part])
        assert metric.compute().item() == pytest.approx(float(reference(*texts)))
