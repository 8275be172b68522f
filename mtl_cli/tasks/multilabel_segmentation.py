"""Masks of several classes, which may overlap."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mtl_cli.batch import FieldSpec, labelled
from mtl_cli.metrics.base import MetricInfo
from mtl_cli.report.shown import class_colours
from mtl_cli.tasks.base import masked_mean
from mtl_cli.tasks.class_base import class_labels
from mtl_cli.tasks.dense_base import DenseTask, share_columns, share_names
from mtl_cli.tasks.predictions_base import Columns
from mtl_cli.tasks.summary_base import LabelSummary

if TYPE_CHECKING:
    from mtl_cli.metrics.base import Metric


class MaskTotals(LabelSummary):
    """How many pixels each class covers, of those that are known."""

    def __init__(self, field: FieldSpec) -> None:
        super().__init__(field)
        self.count = torch.zeros(field.num_classes, dtype=torch.int64)  # [C]
        self.total = torch.zeros(field.num_classes, dtype=torch.int64)  # [C]

    @staticmethod
    def problem(field: FieldSpec, labels: Tensor) -> str | None:
        """Return that a pixel is neither 0 nor 1."""
        wrong = labels[labelled(labels) & (labels != 0) & (labels != 1)]
        return f"holds {wrong[0]:g}; pixels of overlapping masks are 0, 1 or missing" if len(wrong) else None

    def take(self, labels: Tensor, marks: Tensor) -> None:
        """Count the pixels [B, C, H, W] of each class."""
        self.count += marks.sum(dim=(0, 2, 3))
        self.total += labels.nan_to_num().sum(dim=(0, 2, 3), dtype=torch.float64).long()

    def tensors(self) -> dict[str, Tensor]:
        """Return the numbers of known and of covered pixels."""
        return {"count": self.count, "total": self.total}

    @property
    def shares(self) -> Tensor:
        """Share of the known pixels that each class covers [C]; ½ for a class without any."""
        return (self.total.double() / self.count).nan_to_num(0.5).float()


class MultilabelSegmentation(DenseTask):
    """C masks, each pixel of which is there (1), not there (0) or unknown (NaN): Dice and intersection over union.

    Targets float32 [B, C, H, W]; outputs are [B, C, h, w]. The loss is the mean binary cross-entropy of the entries
    that are known. Metrics are over all pixels of a split, by class, then the mean over the classes that occur among
    labels or predictions.
    """

    field_kind = "multimask"
    primary = "dice"
    accepts: ClassVar[tuple[str, ...]] = ("multimask",)
    summary_class: ClassVar[type[LabelSummary]] = MaskTotals
    metric_info: Mapping[str, MetricInfo] = {"dice": MetricInfo(), "miou": MetricInfo()}

    @property
    def num_outputs(self) -> int:
        """C, the number of classes."""
        return self.field.num_classes

    def loss(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Return the mean loss of a known entry; outputs (logits) [B, C, h, w], target [B, C, H, W]."""
        matched = self.matched(outputs, target)
        losses = F.binary_cross_entropy_with_logits(matched, target.nan_to_num(), reduction="none")
        return masked_mean(losses, labelled(target))

    def metrics(self) -> "dict[str, Metric]":
        """Return the mean over classes of Dice and of intersection over union."""
        from mtl_cli.metrics.mask_overlap import MaskDice, MaskIoU

        return {"dice": MaskDice(self.num_outputs), "miou": MaskIoU(self.num_outputs)}

    def predictions(self, outputs: Tensor) -> Tensor:
        """Return where each class is, bool [B, C, H, W]."""
        return outputs > 0

    def decode(self, outputs: Tensor) -> Columns:
        """Return the share of pixels that each class covers."""
        return share_columns(self.name, class_labels(self.field, self.num_outputs), self.predictions(outputs))

    def files(self, maps: Tensor) -> "Mapping[str, np.ndarray[Any, Any]]":
        """Return an image of 0 and 255 for each class, in a folder of the row, by the number of the class."""
        there = self.predictions(maps).cpu().numpy().astype(np.uint8) * np.uint8(255)
        return {f"/{number}.png": mask for number, mask in enumerate(there)}

    def array(self, maps: Tensor) -> "np.ndarray[Any, Any]":
        """Return where each class is, 1 or 0, uint8 [C, H, W]."""
        return self.predictions(maps).cpu().numpy().astype(np.uint8)

    def coloured(self, maps: "Sequence[np.ndarray[Any, Any]]") -> "list[np.ndarray[Any, Any]]":
        """Return where classes are [C, H, W] in their colours, later ones on top of earlier ones."""
        found = []
        for each in maps:
            top = np.where(np.isnan(each.astype(float)).all(axis=0), -1, 0)
            for number, there in enumerate(each, start=1):
                top = np.where(there == 1, number, top)
            found.append(class_colours(top, self.num_outputs + 1))
        return found

    def after_graph(self) -> dict[str, Any]:
        """Return that pixels are there where the output is above 0, and what the columns are."""
        return {"kind": "masks", "names": share_names(self.name, class_labels(self.field, self.num_outputs))}

    def trivial_outputs(self, summary: MaskTotals) -> Tensor:
        """Return the log odds of each class among the known training pixels [C]."""
        return torch.logit(summary.shares, eps=1e-6)
