"""Labels of every notation of spans say what IOB says."""

import pytest
import torch

from mtl_cli.metrics.span_f1 import SpanF1
from mtl_cli.texts.span_labels import iobes


@pytest.mark.parametrize(
    ("names", "marked"),
    [
        (["O", "B-PER", "I-PER"], ["O", "B-PER", "I-PER"]),
        (["O", "B-A", "I-A", "L-A", "U-A"], ["O", "B-A", "I-A", "E-A", "S-A"]),
        (["O", "B-A", "M-A", "E-A", "S-A"], ["O", "B-A", "I-A", "E-A", "S-A"]),
        (["B", "M", "E", "S"], ["B", "I", "E", "S"]),
        (["B-NP", "I-NP"], ["B-NP", "I-NP"]),
        (["B", "I", "O"], ["B", "I", "O"]),
        (["O", "B-a-b", "I-a-b"], ["O", "B-a-b", "I-a-b"]),
        (["S", "M", "L"], None),
        (["O", "X"], None),
        (["O", "N-P", "B-P"], None),
        (["O", "B", "I-PER"], None),
        (["B-A", "S-A"], None),
        (["NOUN", "VERB"], None),
        (["O"], None),
        ([], None),
    ],
)
def test_notations_are_told_apart(names, marked):
    assert iobes(names) == marked


def encoded(spans, length, letters):
    """The labels of spans (type, first, last) in a notation with letters for single, begin, inside and end."""
    labels = ["O"] * length
    for kind, first, last in spans:
        one, begin, inside, end = (f"{letter}-{kind}" for letter in letters)
        labels[first : last + 1] = [one] if first == last else [begin, *[inside] * (last - first - 1), end]
    return labels


@pytest.mark.parametrize("letters", ["BBII", "SBIE", "UBIL", "SBME"])
def test_every_notation_gives_the_f1_of_its_spans(letters):
    stream = torch.Generator().manual_seed(0)
    rows = []
    for _ in range(60):
        spans, at = [], 0
        while at < 12:
            kind, length, gap = (int(torch.randint(0, 3, (), generator=stream)) for _ in range(3))
            if at + length < 12:
                spans.append(("XYZ"[kind], at, at + length))
            at += length + 1 + gap
        rows.append(spans)
    predicted = rows[1:] + rows[:1]
    names = sorted({label for spans in rows for label in encoded(spans, 12, letters)})
    number = {name: k for k, name in enumerate(names)}
    metric = SpanF1(iobes(names))
    metric.update(*(torch.tensor([[number[label] for label in encoded(spans, 12, letters)] for spans in each])
                    for each in (predicted, rows)))  # fmt: skip
    found = sum(len(set(one) & set(other)) for one, other in zip(predicted, rows, strict=True))
    total = sum(map(len, predicted)) + sum(map(len, rows))
    assert found > 5
    assert float(metric.compute()) == pytest.approx(2 * found / total)
