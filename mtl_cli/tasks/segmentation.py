"""A class for every pixel."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from torch import Tensor
from torch.nn import functional as F

from mtl_cli.batch import MISSING_CLASS, FieldSpec, labelled
from mtl_cli.heads.base import Head
from mtl_cli.metrics.base import MetricInfo
from mtl_cli.report.shown import class_colours
from mtl_cli.tasks.base import masked_mean
from mtl_cli.tasks.class_base import ClassWeights, checked_smoothing, class_labels, weights_by_class
from mtl_cli.tasks.dense_base import DenseTask, share_columns, share_names
from mtl_cli.tasks.predictions_base import Columns
from mtl_cli.tasks.summary_base import ClassCounts, LabelSummary

if TYPE_CHECKING:
    from mtl_cli.metrics.base import Metric


class Segmentation(DenseTask):
    """One of C classes for every pixel: cross-entropy; mean intersection over union, pixel accuracy and Dice.

    Targets int64 [B, H, W] hold class numbers, −100 where there is none; outputs are [B, C, h, w]. The loss of a pixel
    is w_y·CE, and the mean is over pixels. `class_weights` w are null (all 1), balanced or a number per class.

    Metrics come from the confusion matrix of all pixels of a split. `miou` is the mean over the classes that occur
    among labels or predictions. So is `dice`, 2·TP/(2·TP + FP + FN); but of two classes it is that of the second, the
    foreground.
    """

    field_kind = "mask"
    primary = "miou"
    accepts: ClassVar[tuple[str, ...]] = ("mask",)
    summary_class: ClassVar[type[LabelSummary]] = ClassCounts
    metric_info: Mapping[str, MetricInfo] = {"miou": MetricInfo(), "dice": MetricInfo(), "pixel_accuracy": MetricInfo()}

    def __init__(
        self,
        target: str,
        weight: float,
        head: Head,
        label_smoothing: float = 0.0,
        class_weights: ClassWeights = None,
        *,
        name: str,
        field: FieldSpec,
    ) -> None:
        super().__init__(target, weight, head, name=name, field=field)
        self.label_smoothing = checked_smoothing(label_smoothing, f"tasks.{name}")
        self.class_weights = weights_by_class(class_weights, field, f"tasks.{name}")

    @property
    def num_outputs(self) -> int:
        """C, the number of classes."""
        return self.field.num_classes

    def loss(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Return the mean loss of a labelled pixel; outputs (logits) [B, C, h, w], target [B, H, W]."""
        losses = F.cross_entropy(
            self.matched(outputs, target),
            target,
            ignore_index=MISSING_CLASS,
            label_smoothing=self.label_smoothing,
            reduction="none",
        )  # [B, H, W]
        if self.class_weights is not None:
            losses = losses * self.class_weights.to(outputs.device)[target.clamp(min=0)]
        return masked_mean(losses, labelled(target))

    def metrics(self) -> "dict[str, Metric]":
        """Return mean intersection over union, Dice, pixel accuracy and the confusion matrix ("confusion")."""
        from mtl_cli.metrics.classes import Confusion
        from mtl_cli.metrics.overlap import Dice, MeanIoU, PixelAccuracy

        classes = self.num_outputs
        return {
            "miou": MeanIoU(classes),
            "dice": Dice(classes),
            "pixel_accuracy": PixelAccuracy(classes),
            "confusion": Confusion(classes),
        }

    def predictions(self, outputs: Tensor) -> Tensor:
        """Return the most likely class of each pixel [B, H, W]."""
        return outputs.argmax(dim=1)

    def decode(self, outputs: Tensor) -> Columns:
        """Return the share of pixels of each class."""
        found = F.one_hot(self.predictions(outputs), self.num_outputs).movedim(-1, 1)
        return share_columns(self.name, class_labels(self.field, self.num_outputs), found)

    def files(self, maps: Tensor) -> "Mapping[str, np.ndarray[Any, Any]]":
        """Return a label image of class numbers, of 8 bits for up to 256 classes, else of 16."""
        classes = self.predictions(maps.unsqueeze(0))[0].cpu().numpy()
        return {".png": classes.astype(np.uint8 if self.num_outputs <= 256 else np.uint16)}

    def coloured(self, maps: "Sequence[np.ndarray[Any, Any]]") -> "list[np.ndarray[Any, Any]]":
        """Return classes [H, W] in the colours of their numbers."""
        return [class_colours(each, self.num_outputs) for each in maps]

    def after_graph(self) -> dict[str, Any]:
        """Return that pixels are the likeliest of classes, and what the columns are."""
        return {"kind": "classes", "names": share_names(self.name, class_labels(self.field, self.num_outputs))}

    def trivial_outputs(self, summary: ClassCounts) -> Tensor:
        """Return the log frequencies of the classes [C]: always the most frequent class."""
        return summary.log_frequencies
