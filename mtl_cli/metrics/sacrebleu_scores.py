"""BLEU and chrF of texts that were written, by sacrebleu, as sums over batches."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from torch import Tensor

from mtl_cli.metrics.base import Metric
from mtl_cli.texts.piece_tokenizer import text_of


class Corpus(Metric):
    """A score of a whole corpus, which is a function of sums of statistics over texts.

    Args:
        pieces: the text of each piece.
    """

    statistics: Tensor
    size: int
    """Number of the statistics."""

    def __init__(self, pieces: Sequence[str]) -> None:
        super().__init__()
        self.pieces = tuple(pieces)
        self.add_state("statistics", torch.zeros(self.size, dtype=torch.float64), dist_reduce_fx="sum")

    @abstractmethod
    def scorer(self) -> Any:  # noqa: ANN401  a metric of sacrebleu
        """Return what computes the score."""

    def update(self, predictions: Tensor, target: Tensor) -> None:
        """Take in pieces [B, L] and those of references [B, L']."""
        written, wanted = ([text_of(self.pieces, row) for row in each.tolist()] for each in (predictions, target))
        found = self.scorer()._extract_corpus_statistics(written, [wanted])
        self.statistics += torch.tensor(found, dtype=torch.float64).sum(dim=0).to(self.statistics)

    def compute(self) -> Tensor:
        """Return the score, from 0 to 1."""
        found = self.scorer()._compute_score_from_stats([int(value) for value in self.statistics.tolist()])
        return torch.tensor(found.score / 100.0, dtype=torch.float64)


class ChrF(Corpus):
    """Character n-gram F-score (chrF2: n up to 6, β = 2): Popović, WMT 2015."""

    size = 18

    def scorer(self) -> CHRF:
        """Return sacrebleu's chrF with its defaults."""
        return CHRF()


class Bleu(Corpus):
    """BLEU of words as sacrebleu cuts them (13a, exponential smoothing): Papineni et al., ACL 2002; Post, WMT 2018."""

    size = 10

    def scorer(self) -> BLEU:
        """Return sacrebleu's BLEU with its defaults, silent on texts that look tokenised."""
        return BLEU(force=True)
