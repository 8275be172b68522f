"""F1 of labelled spans, by the rule of the CoNLL shared tasks."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mtl_cli.batch import MISSING_CLASS
from mtl_cli.errors import not_installed
from mtl_cli.metrics.base import Metric

try:
    from seqeval.metrics.sequence_labeling import get_entities
except ImportError as error:
    raise not_installed("Spans are counted by seqeval", error, "text") from error


class SpanF1(Metric):
    """2·TP / (predicted + true) over the spans of all sentences; classes [B, L] and [B, L], −100 is not a label.

    Tjong Kim Sang and De Meulder, "Introduction to the CoNLL-2003 shared task", 2003: a span counts as found when its
    type and both its ends agree. Which labels make a span is seqeval's rule, which is that of the task's own script.

    Args:
        names: the classes' names in the letters of IOBES, such as B-PER, I-PER, O (`mtl_cli.texts.span_labels.iobes`).
    """

    found: Tensor
    predicted: Tensor
    true: Tensor

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self.names = list(names)
        for state in ("found", "predicted", "true"):
            self.add_state(state, torch.tensor(0, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, predictions: Tensor, target: Tensor) -> None:
        """Take in the classes of sentences [B, L], or of sentences of one word each [B]."""
        if target.ndim == 1:
            predictions, target = predictions[:, None], target[:, None]
        marks = target != MISSING_CLASS
        for row, mark, truth in zip(predictions.cpu(), marks.cpu(), target.cpu(), strict=True):
            guessed = set(get_entities([self.names[k] for k in row[mark].tolist()]))
            actual = set(get_entities([self.names[k] for k in truth[mark].tolist()]))
            self.found += len(guessed & actual)
            self.predicted += len(guessed)
            self.true += len(actual)

    def compute(self) -> Tensor:
        """Return F1; 0 where neither has a span."""
        total = self.predicted + self.true
        return 2.0 * self.found / total if total > 0 else torch.tensor(0.0)
