"""A text that is written: a translation, a transcript, digits for words."""

import importlib.util
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from mtl_cli.batch import FieldSpec, set_entries
from mtl_cli.config.annotations import one_of
from mtl_cli.features import FeatureSpec
from mtl_cli.heads.base import Head
from mtl_cli.heads.decoder_base import DecoderHead, PieceWriter
from mtl_cli.metrics.base import MetricInfo
from mtl_cli.report.shown import Shown
from mtl_cli.tasks.base import Task, masked_mean
from mtl_cli.tasks.class_base import checked_smoothing
from mtl_cli.tasks.predictions_base import Columns
from mtl_cli.tasks.summary_base import LabelSummary
from mtl_cli.texts.piece_tokenizer import PAD, UNKNOWN, text_of

if TYPE_CHECKING:
    from mtl_cli.metrics.base import Metric

METRICS = ("exact_match", "token_accuracy", "chrf", "bleu")
BY_SACREBLEU = ("chrf", "bleu")
MORE = 1.25
"""How much longer than the longest training target a text may become."""
KEPT = 2**20
"""Distinct targets among which the most frequent one is looked for."""


class PieceCounts(LabelSummary):
    """Pieces by number [V], and the most frequent target, `common` [longest], filled up after its end."""

    def __init__(self, field: FieldSpec) -> None:
        super().__init__(field)
        self.histogram = torch.zeros(field.num_classes, dtype=torch.int64)
        self._common = torch.full((max(1, field.longest),), PAD)
        self._times: Counter[tuple[int, ...]] = Counter()

    @staticmethod
    def marks(labels: Tensor) -> Tensor:
        """True where a piece is present in `labels` [B, L]."""
        return set_entries(labels)

    def take(self, labels: Tensor, marks: Tensor) -> None:
        """Count pieces and targets."""
        self.histogram += torch.bincount(known(labels[marks], self.field.num_classes), minlength=len(self.histogram))
        for row, mark in zip(labels, marks, strict=True):
            target = tuple(row[mark].tolist())
            if target and (target in self._times or len(self._times) < KEPT):
                self._times[target] += 1

    @property
    def common(self) -> Tensor:
        """The most frequent target [longest]; of several the one that comes first in order."""
        if not self._times:
            return self._common
        best = min(self._times, key=lambda target: (-self._times[target], target))
        found = torch.full_like(self._common, PAD)
        pieces = torch.tensor(best[: len(found)])
        found[: len(pieces)] = pieces
        return found

    @common.setter
    def common(self, value: Tensor) -> None:
        self._common = value

    def tensors(self) -> dict[str, Tensor]:
        """Return what was counted."""
        return {"histogram": self.histogram, "common": self.common}

    @property
    def log_frequencies(self) -> Tensor:
        """Logarithms of the pieces' shares [V]."""
        counts = self.histogram.float()
        return torch.log((counts + 1e-6) / counts.sum().clamp(min=1.0))


class Seq2Seq(Task):
    """A text to be written: cross-entropy piece by piece, given the pieces before (teacher forcing).

    Targets int64 [B, L] are sets of pieces (`mtl_cli.batch.pad_sets`), the last of which is the end; outputs are those
    of a `PieceWriter`. The mean is over pieces. Metrics compare the text that was written without a target, and the
    task is selected by the first of them:

    exact_match: texts that are the same. token_accuracy: pieces of the target that stand at their place in what is
    written, its end too. chrf and bleu: those of sacrebleu, from 0 to 1.
    """

    field_kind = "pieces"
    head_gives: ClassVar[str] = "pieces"
    accepts: ClassVar[tuple[str, ...]] = ("pieces",)
    summary_class: ClassVar[type[LabelSummary]] = PieceCounts
    prints_samples: ClassVar[bool] = True

    def __init__(
        self,
        target: str,
        weight: float,
        label_smoothing: float,
        metrics: Sequence[str],
        head: Head,
        *,
        name: str,
        field: FieldSpec,
    ) -> None:
        super().__init__(target, weight, head, name=name, field=field)
        if isinstance(head, DecoderHead) and head.copy and not field.copies:
            raise ValueError(
                f"tasks.{name}.head.copy is true, but its texts are not cut as the inputs are. Use dataset=parallel, "
                f"whose tokenizer is shared, or tasks.{name}.head.copy=false."
            )
        self.label_smoothing = checked_smoothing(label_smoothing, f"tasks.{name}")
        self._metrics = checked_metrics(metrics, f"tasks.{name}")
        self.primary = self._metrics[0]
        self._info = {metric: MetricInfo() for metric in self._metrics}

    @property
    def num_outputs(self) -> int:
        """V, the number of pieces."""
        return self.field.num_classes

    @property
    def longest(self) -> int:
        """Pieces that are written at most: a quarter more than those of the longest training target."""
        return int(self.field.longest * MORE) + 4

    def build_head(self, spec: FeatureSpec) -> nn.Module:
        """Return the head, which knows how long texts may become."""
        head = super().build_head(spec)
        if isinstance(head, PieceWriter):
            head.longest = self.longest
        return head

    @property
    def metric_info(self) -> dict[str, MetricInfo]:
        """How to read each of `metrics`: all are scores."""
        return self._info

    def loss(self, outputs: Mapping[str, Tensor], target: Tensor) -> Tensor:
        """Return the mean loss of a piece; `logits` [B, L, V], target [B, L]."""
        return masked_mean(self.entry_losses(outputs, target), self.label_marks(target))

    def entry_losses(self, outputs: Mapping[str, Tensor], target: Tensor) -> Tensor:
        """Return the loss of each piece [B, L]; logits [B, 1, V] stand for the same at each place."""
        logs = outputs["logits"].log_softmax(dim=-1)
        wanted = known(target, self.num_outputs).unsqueeze(2)
        found = -logs.expand(*target.shape, -1).gather(2, wanted).squeeze(2)
        if not self.label_smoothing:
            return found
        return (1.0 - self.label_smoothing) * found - self.label_smoothing * logs.mean(dim=-1)

    def metrics(self) -> "dict[str, Metric]":
        """Return the metrics that were asked for."""
        from mtl_cli.metrics.written_texts import ExactMatch, TokenAccuracy

        pieces = self.field.class_names
        found: dict[str, Metric] = {}
        for name in self._metrics:
            if name in BY_SACREBLEU:
                from mtl_cli.metrics.sacrebleu_scores import Bleu, ChrF

                found[name] = ChrF(pieces) if name == "chrf" else Bleu(pieces)
            else:
                found[name] = ExactMatch(pieces) if name == "exact_match" else TokenAccuracy()
        return found

    def predictions(self, outputs: Mapping[str, Tensor]) -> Tensor:
        """Return the pieces that are written [B, L]."""
        return outputs["pieces"]

    def decode(self, outputs: Mapping[str, Tensor]) -> Columns:
        """Return the text, and the geometric mean of the probabilities of its pieces."""
        pieces = outputs["pieces"]
        lengths = (pieces != PAD).sum(dim=1).clamp(min=1)
        return {
            f"{self.name}_prediction": np.array(self.texts(pieces), dtype=object),
            f"{self.name}_probability": (outputs["log_probability"] / lengths).exp().cpu().numpy(),
        }

    def texts(self, pieces: Tensor) -> list[str]:
        """Return the texts of pieces [B, L]."""
        return [text_of(self.field.class_names, row) for row in pieces.tolist()]

    def columns_of_no_rows(self) -> Columns:
        """Return the columns that `write` adds, without a row."""
        none = np.zeros(0, dtype=np.float32)
        return {f"{self.name}_prediction": np.array([], dtype=object), f"{self.name}_probability": none}

    def shown_target(self, target: Tensor | None) -> Shown | None:
        """Return the text of one row."""
        return None if target is None else Shown(self.texts(target)[0])

    def trivial_outputs(self, summary: PieceCounts) -> dict[str, Tensor]:
        """Return the log frequencies of pieces [1, V], and the most frequent target."""
        return {"logits": summary.log_frequencies.unsqueeze(0), "pieces": summary.common}

    def repeated(self, outputs: Any, target: Tensor) -> dict[str, Tensor]:  # noqa: ANN401  an Output of the head
        """Return the outputs for each row of `target` [B, L]."""
        return {name: value.expand(len(target), *value.shape) for name, value in outputs.items()}


def known(target: Tensor, num_pieces: int) -> Tensor:
    """Return targets as numbers of pieces, 0 where there is none."""
    return torch.where(target >= num_pieces, UNKNOWN, target.clamp(min=0))


def checked_metrics(metrics: Sequence[str], where: str) -> tuple[str, ...]:
    """Return the metrics of a task.

    Raises:
        ValueError: there is none, one is unknown, or one needs sacrebleu, which is not installed.
    """
    if not metrics or len(set(metrics)) < len(metrics):
        raise ValueError(f"{where}.metrics is {list(metrics)}; it names each metric once, the selecting one first.")
    for name in metrics:
        if name not in METRICS:
            raise ValueError(one_of(f"{where}.metrics", name, METRICS))
        if name in BY_SACREBLEU and importlib.util.find_spec("sacrebleu") is None:
            raise ValueError(
                f"{where}.metrics has {name}, which sacrebleu computes. Install it: pip install "
                f"'mtl-cli[translation]'. Or measure something else: {where}.metrics=[exact_match]"
            )
    return tuple(metrics)
