"""F1 of spans as counted by hand."""

import pytest
import torch

from mtl_cli.metrics.span_f1 import SpanF1

NAMES = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]


def score(predicted, actual):
    metric = SpanF1(NAMES)
    number = {name: k for k, name in enumerate(NAMES)}
    longest = max(len(row) for row in actual)

    def encoded(rows):
        padded = [[*row, *["?"] * (longest - len(row))] for row in rows]
        return torch.tensor([[number.get(label, -100) for label in row] for row in padded])

    metric.update(encoded(predicted).clamp(min=0), encoded(actual))
    return float(metric.compute())


@pytest.mark.parametrize(
    ("predicted", "actual", "wanted"),
    [
        # both spans found
        ("B-PER I-PER O B-LOC", "B-PER I-PER O B-LOC", 1.0),
        # 1 found of 2 predicted and 2 true: an end that differs is no hit
        ("B-PER O O B-LOC", "B-PER I-PER O B-LOC", 0.5),
        # the type differs: 0 of 1 and 1
        ("B-LOC I-LOC O", "B-PER I-PER O", 0.0),
        # 1 found, 2 predicted, 1 true: 2·1 / 3
        ("B-PER O B-LOC", "B-PER O O", 2 / 3),
        # I without B begins a span, as conlleval has it
        ("O I-PER I-PER", "O B-PER I-PER", 1.0),
        # B begins a new span beside the old one: 2 true, 1 predicted, 0 found
        ("B-PER I-PER", "B-PER B-PER", 0.0),
        # another type after I begins a new span
        ("B-PER I-LOC", "B-PER B-LOC", 1.0),
        # nothing to find and nothing found
        ("O O", "O O", 0.0),
    ],
)
def test_span_f1_as_counted_by_hand(predicted, actual, wanted):
    assert score([predicted.split()], [actual.split()]) == pytest.approx(wanted)


def test_spans_do_not_reach_into_the_next_sentence_and_counts_add_up():
    # sentence 1: 1 found of 1 and 1; sentence 2: 0 found of 1 and 2 -> 2·1 / (2 + 3)
    predicted = [["O", "B-PER"], ["I-PER", "O", "O"]]
    actual = [["O", "B-PER"], ["B-LOC", "O", "B-LOC"]]
    assert score(predicted, actual) == pytest.approx(2 / 5)


def test_words_without_a_label_are_left_out():
    assert score([["B-PER", "O", "O"]], [["B-PER", "?", "O"]]) == 1.0
