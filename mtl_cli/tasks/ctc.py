"""A transcript of a sequence, whose places in it nobody knows."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mtl_cli.batch import FieldSpec, set_entries, set_labelled
from mtl_cli.heads.base import Head
from mtl_cli.layers.ctc_search import BLANK, best_path, padded_pieces, prefix_search
from mtl_cli.metrics.base import MetricInfo
from mtl_cli.report.shown import Shown
from mtl_cli.tasks.base import Task, masked_mean
from mtl_cli.tasks.predictions_base import Columns
from mtl_cli.tasks.summary_base import LabelSummary
from mtl_cli.texts.piece_tokenizer import END, PAD, UNKNOWN, text_of

if TYPE_CHECKING:
    from mtl_cli.metrics.base import Metric

assert PAD == BLANK, "what fills rows up is never written, and stands for the blank"
NEVER = (UNKNOWN, END)
"""Pieces that are not written."""


class PieceTotals(LabelSummary):
    """How often each piece occurs [V]; a transcript is one label."""

    def __init__(self, field: FieldSpec) -> None:
        super().__init__(field)
        self.histogram = torch.zeros(field.num_classes, dtype=torch.int64)

    @staticmethod
    def marks(labels: Tensor) -> Tensor:
        """True for the rows of `labels` [B, L] that have a transcript, also an empty one."""
        return set_labelled(labels)

    def take(self, labels: Tensor, marks: Tensor) -> None:
        """Count the pieces."""
        found = labels[set_entries(labels)]
        self.histogram += torch.bincount(known(found, len(self.histogram)), minlength=len(self.histogram))

    def tensors(self) -> dict[str, Tensor]:
        """Return the histogram."""
        return {"histogram": self.histogram}


class CTC(Task):
    """A text whose pieces come in the order of the frames: minus the log-probability of all paths to it, per piece.

    Source: Graves, Fernández, Gomez, Schmidhuber, "Connectionist temporal classification: labelling unsegmented
    sequence data with recurrent neural networks", ICML 2006. The loss of a row is divided by its number of pieces.

    Targets int64 [B, N] are sets of pieces (`mtl_cli.batch.pad_sets`), the last of which is the end and does not count;
    outputs are those of a `FrameHead`. A text of n pieces, of which r equal the one before, needs n + r frames; rows
    with fewer are refused in training, or with `skip_unfit` have no part in the loss.

    `beam` beginnings are kept when a text is searched for; 1 takes the most likely path. Metrics: `cer` and `wer`, the
    edits of characters and words over those of the references, and `exact_match`, the share of texts without an edit.
    """

    field_kind = "pieces"
    primary = "cer"
    head_gives: ClassVar[str] = "frames"
    accepts: ClassVar[tuple[str, ...]] = ("pieces",)
    summary_class: ClassVar[type[LabelSummary]] = PieceTotals
    prints_samples: ClassVar[bool] = True
    metric_info: Mapping[str, MetricInfo] = {
        "cer": MetricInfo(lower_is_better=True),
        "wer": MetricInfo(lower_is_better=True),
        "exact_match": MetricInfo(),
    }

    def __init__(
        self,
        target: str,
        weight: float,
        head: Head,
        beam: int = 1,
        skip_unfit: bool = False,
        *,
        name: str,
        field: FieldSpec,
    ) -> None:
        super().__init__(target, weight, head, name=name, field=field)
        if beam < 1:
            raise ValueError(f"tasks.{name}.beam is {beam}; it is 1 or more. Use for example tasks.{name}.beam=8.")
        self.beam, self.skip_unfit = beam, skip_unfit

    @property
    def num_outputs(self) -> int:
        """V, the number of pieces; the one that fills rows up stands for the blank."""
        return self.field.num_classes

    def loss(self, outputs: Mapping[str, Tensor], target: Tensor) -> Tensor:
        """Return the mean loss of a labelled row; `logits` [B, L, V], target [B, N]."""
        return masked_mean(self.entry_losses(outputs, target), set_labelled(target))

    def entry_losses(self, outputs: Mapping[str, Tensor], target: Tensor) -> Tensor:
        """Return the loss of each row [B], 0 for one that does not fit."""
        logs = outputs["logits"].log_softmax(dim=-1).transpose(0, 1)  # [L, B, V]
        lengths = self.text_lengths(target)
        places = torch.arange(target.shape[1], device=target.device) < lengths.unsqueeze(1)
        pieces = torch.where(places, known(target, self.num_outputs), UNKNOWN)
        frames = outputs["mask"].sum(dim=1).long()
        losses = F.ctc_loss(logs, pieces, frames, lengths, BLANK, reduction="none", zero_infinity=True)
        return losses / lengths.clamp(min=1)

    def text_lengths(self, target: Tensor) -> Tensor:
        """Return the number of pieces of each row's text [B], without its end; 0 where there is no label."""
        return (set_entries(target).sum(dim=1) - 1).clamp(min=0)

    def fewest_positions(self, target: Tensor) -> Tensor:
        """Return the number of frames that each row's text needs [B]."""
        places = torch.arange(1, target.shape[1], device=target.device) < self.text_lengths(target).unsqueeze(1)
        repeats = (target[:, 1:] == target[:, :-1]) & places
        return self.text_lengths(target) + repeats.sum(dim=1)

    def metrics(self) -> "dict[str, Metric]":
        """Return the errors of characters and words, and the share of texts without an error."""
        from mtl_cli.metrics.edit_rates import CharErrors, WordErrors
        from mtl_cli.metrics.written_texts import ExactMatch

        pieces = self.field.class_names
        return {"cer": CharErrors(pieces), "wer": WordErrors(pieces), "exact_match": ExactMatch(pieces)}

    def predictions(self, outputs: Mapping[str, Tensor]) -> Tensor:
        """Return the pieces that are written [B, N], filled up at the end."""
        return padded_pieces(self.written(outputs)[0], outputs["logits"].device)

    def written(self, outputs: Mapping[str, Tensor]) -> tuple[list[list[int]], list[float]]:
        """Return the pieces of each row, and the logarithm of their probability."""
        logits = outputs["logits"].index_fill(2, torch.tensor(NEVER, device=outputs["logits"].device), -1e9)
        logs, lengths = logits.log_softmax(dim=-1).cpu(), outputs["mask"].sum(dim=1).long().tolist()
        return best_path(logs, lengths) if self.beam == 1 else prefix_search(logs, lengths, self.beam)

    def decode(self, outputs: Mapping[str, Tensor]) -> Columns:
        """Return the text, and the geometric mean of its probability over frames."""
        pieces, scores = self.written(outputs)
        frames = outputs["mask"].sum(dim=1).clamp(min=1).cpu().numpy()
        return {
            f"{self.name}_prediction": np.array([text_of(self.field.class_names, row) for row in pieces], dtype=object),
            f"{self.name}_probability": np.exp(np.array(scores) / frames).astype(np.float32),
        }

    def columns_of_no_rows(self) -> Columns:
        """Return the columns that `write` adds, without a row."""
        none = np.zeros(0, dtype=np.float32)
        return {f"{self.name}_prediction": np.array([], dtype=object), f"{self.name}_probability": none}

    def shown_target(self, target: Tensor | None) -> Shown | None:
        """Return the text of one row."""
        return None if target is None else Shown(text_of(self.field.class_names, target[0].tolist()))

    def trivial_outputs(self, summary: PieceTotals) -> dict[str, Tensor]:
        """Return logits [1, V] that write nothing: a blank is as likely as all pieces together."""
        shares = summary.histogram.float()
        shares[list(NEVER)] = 0
        logits = torch.log(shares / shares.sum().clamp(min=1) + 1e-6)
        logits[BLANK] = 1e-3
        return {"logits": logits.unsqueeze(0), "mask": torch.ones(1)}

    def repeated(self, outputs: Any, target: Tensor) -> dict[str, Tensor]:  # noqa: ANN401  an Output of the head
        """Return the outputs for each row of `target` [B, N], of as many frames as its texts may need."""
        rows, frames = len(target), 2 * target.shape[1] + 1
        logits = outputs["logits"].expand(rows, frames, -1)
        return {"logits": logits, "mask": outputs["mask"].expand(rows, frames)}


def known(target: Tensor, num_pieces: int) -> Tensor:
    """Return targets as numbers of pieces: a character that no piece holds is the unknown one."""
    return torch.where(target >= num_pieces, UNKNOWN, target.clamp(min=0))
