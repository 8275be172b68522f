"""Boxes around objects."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from mtl_cli.batch import FieldSpec, set_entries, set_labelled
from mtl_cli.heads.base import Head
from mtl_cli.layers.box_overlap import largest_overlaps, without_doubles
from mtl_cli.layers.centers import at_positions, centre_focal_loss, draw_peaks, find_peaks, peak_radius
from mtl_cli.metrics.base import MetricInfo
from mtl_cli.report.shown import Shown
from mtl_cli.tasks.base import Task, masked_mean
from mtl_cli.tasks.calibration_base import COUNTS
from mtl_cli.tasks.class_base import class_labels
from mtl_cli.tasks.predictions_base import Boxes, Columns, Predictions
from mtl_cli.tasks.summary_base import LabelSummary

if TYPE_CHECKING:
    from mtl_cli.metrics.base import Metric

Maps = Mapping[str, Tensor]
DEFAULT_THRESHOLD = 0.35
LEAST_OVERLAP, RARE, SLACK = 0.4, 0.005, 0.1
"""Overlap of two boxes of one class up to which both are kept; share of training boxes that may overlap by more; how
much more those overlap that are predicted, since they are less exact."""
BINS = 100
"""Overlaps are counted in hundredths, rounded up."""


class BoxTotals(LabelSummary):
    """Boxes by class, the mean of their sizes' logarithms, and how much boxes of one class overlap.

    Fills in counts, mean (width, height, per image) and overlap.
    """

    def __init__(self, field: FieldSpec) -> None:
        super().__init__(field)
        self.histogram = torch.zeros(field.num_classes, dtype=torch.int64)  # [C]
        self.logs = torch.zeros(2, dtype=torch.float64)  # of width and height
        self.overlaps = torch.zeros(BINS + 1, dtype=torch.int64)

    @staticmethod
    def marks(labels: Tensor) -> Tensor:
        """True for images [B] whose boxes are known, also where there are none."""
        return set_labelled(labels)

    @staticmethod
    def problem(field: FieldSpec, labels: Tensor) -> str | None:
        """Return that a box has no area, or that its class is not one."""
        boxes = labels[set_entries(labels)]  # [M, 5]
        flat = boxes[(boxes[:, 2:4] <= boxes[:, :2]).any(dim=1)]
        if len(flat):
            return f"holds the box {[round(value, 2) for value in flat[0, :4].tolist()]}, which has no area"
        wrong = boxes[(boxes[:, 4] < 0) | (boxes[:, 4] >= field.num_classes), 4]
        return f"holds the class {int(wrong[0])}, but has {field.num_classes} classes" if len(wrong) else None

    def take(self, labels: Tensor, marks: Tensor) -> None:
        """Count the boxes [B, N, 5]."""
        there = set_entries(labels)  # [B, N]
        boxes = labels[there]
        self.histogram += torch.bincount(boxes[:, 4].long(), minlength=self.field.num_classes)
        self.logs += (boxes[:, 2:4] - boxes[:, :2]).double().log().sum(dim=0)
        largest = [largest_overlaps(row[own]) for row, own in zip(labels, there, strict=True)]
        places = (torch.cat(largest).double() * BINS).ceil().long().clamp(max=BINS)
        self.overlaps += torch.bincount(places, minlength=BINS + 1)

    def spec(self) -> FieldSpec:
        """Return the spec with the boxes of each class, their mean size and number per image, and their overlap."""
        if self.field.counts or not self.histogram.any():
            return self.field
        total = int(self.histogram.sum())
        width, height = (self.logs / total).exp().tolist()
        mean = (width, height, total / self.num_labelled)
        rare = self.overlaps.cumsum(0) >= (1 - RARE) * self.overlaps.sum()
        overlap = int(rare.long().argmax()) / BINS
        return replace(self.field, counts=tuple(self.histogram.tolist()), mean=mean, overlap=overlap)

    def tensors(self) -> dict[str, Tensor]:
        """Return the counts and the sums of logarithms."""
        return {"histogram": self.histogram, "logs": self.logs, "overlaps": self.overlaps}

    @classmethod
    def of(cls, field: FieldSpec, state: Mapping[str, Any]) -> Self:
        """Return the summary of a checkpoint; older ones have not counted overlaps."""
        return super().of(field, {"overlaps": torch.zeros(BINS + 1, dtype=torch.int64), **state})


class Detection(Task):
    """Boxes of C classes, as peaks of heat maps: mean average precision, and how many there are.

    Source: Zhou, Wang, Krähenbühl, "Objects as Points", 2019. The loss of an image is the focal loss of the heat maps
    of centres, plus the absolute errors of offset and size at the true centres. Differs from the paper: sizes are
    learnt as logarithms relative to the mean size of training boxes, with weight 1; and the sum over a batch is divided
    by its images times the mean number of boxes per training image instead of by its own boxes, so that parts of a
    batch add up to the whole.

    Targets float32 [B, N, 5] hold x₁, y₁, x₂, y₂ in pixels of the input and the class (`mtl_cli.batch.pad_sets`).
    Metrics: `map50` and `map` (over overlaps 0.5 … 0.95) as COCO counts them, up to `max_boxes` per image; of the boxes
    with a score of at least `score_threshold`, the mean error of their number, absolute (`count_mae`) and relative to
    max(1, n) (`count_rel`). These boxes are what mtl-predict writes. `map` selects the best checkpoint: on 26 images of
    blood cells `map50` took step 384 of 944, where the loss fell until step 704. Where no threshold is given it is 0.35
    in training, and at its end the one with the lowest `count_rel` on validation images is kept with that checkpoint.
    Three runs on nuclei got 0.29, 0.30 and 0.35.

    A large object may have several peaks. Of boxes of one class that overlap by more than `max_overlap` (intersection
    over union) the one with the highest score is kept; 1 keeps all, as the paper does. Without a number it is fitted to
    training boxes: what all but one in 200 keep to, and a tenth more, at least 0.4.
    """

    field_kind = "boxes"
    primary = "map"
    head_gives: ClassVar[str] = "detection"
    accepts: ClassVar[tuple[str, ...]] = ("boxes",)
    summary_class: ClassVar[type[LabelSummary]] = BoxTotals
    metric_info: Mapping[str, MetricInfo] = {
        "map50": MetricInfo(),
        "map": MetricInfo(),
        "count_mae": MetricInfo(lower_is_better=True),
        "count_rel": MetricInfo(lower_is_better=True),
    }
    writes_files: ClassVar[bool] = True
    calibrates: ClassVar[str | None] = COUNTS

    def __init__(
        self,
        target: str,
        weight: float,
        head: Head,
        score_threshold: float | None = None,
        max_boxes: int = 300,
        max_overlap: float | None = 1.0,
        *,
        name: str,
        field: FieldSpec,
    ) -> None:
        super().__init__(target, weight, head, name=name, field=field)
        if (score_threshold is not None and not 0.0 < score_threshold < 1.0) or max_boxes < 1:
            raise ValueError(
                f"tasks.{name}.score_threshold is {score_threshold}, max_boxes {max_boxes}; the threshold lies between "
                f"0 and 1 or is null, and there is at least one box. Use tasks.{name}.score_threshold=0.35."
            )
        if max_overlap is not None and not 0.0 < max_overlap <= 1.0:
            raise ValueError(
                f"tasks.{name}.max_overlap is {max_overlap}; it lies above 0 and is at most 1, or is null. Use "
                f"tasks.{name}.max_overlap=0.4."
            )
        self.score_threshold, self.max_boxes = score_threshold, max_boxes
        usual = min(1.0, max(LEAST_OVERLAP, round(field.overlap + SLACK, 2)))
        self.max_overlap = usual if max_overlap is None else max_overlap
        width, height, per_image = field.mean or (1.0, 1.0, 1.0)
        self.mean_size, self.per_image = torch.tensor([width, height]), max(per_image, 1e-3)

    @property
    def threshold(self) -> float:
        """The lowest score of a box that counts: what was given, else what was fitted on validation images."""
        if self.score_threshold is not None:
            return self.score_threshold
        fitted = None if self.calibration is None else self.calibration.thresholds
        return fitted[0] if fitted else DEFAULT_THRESHOLD

    @property
    def num_outputs(self) -> int:
        """C, the number of classes."""
        return self.field.num_classes

    def loss(self, outputs: Maps, target: Tensor) -> Tensor:
        """Return the mean loss of a labelled image over the mean number of boxes; target [B, N, 5]."""
        heat = outputs["heat"]
        _, classes, height, width = heat.shape
        there = set_entries(target)  # [B, N]
        boxes = torch.where(there.unsqueeze(-1), target, torch.tensor([0.0, 0.0, 1.0, 1.0, 0.0], device=heat.device))
        stride = outputs["stride"].reshape(-1, 1, 1)
        centre = (boxes[..., :2] + boxes[..., 2:4]) / 2 / stride  # [B, N, 2]
        size = boxes[..., 2:4] - boxes[..., :2]
        limits = torch.tensor([width - 1, height - 1], device=heat.device)
        cell = torch.minimum(centre.floor().clamp(min=0), limits)
        column, row = cell.long().unbind(dim=-1)
        sigma = (2 * peak_radius(size[..., 0] / stride[..., 0], size[..., 1] / stride[..., 0]) + 1) / 6
        kind = torch.where(there, boxes[..., 4], -1).long()
        wanted = draw_peaks(column, row, sigma, kind, (classes, height, width))
        focal = centre_focal_loss(heat, wanted).sum(dim=(1, 2, 3))  # [B]
        offset = at_positions(outputs["offset"], row, column) - (centre - cell)
        logs = at_positions(outputs["size"], row, column) - (size / self.mean_size.to(heat.device)).log()
        errors = torch.where(there, (offset.abs() + logs.abs()).sum(dim=-1), 0.0).sum(dim=1)
        return masked_mean((focal + errors) / self.per_image, set_labelled(target))

    def metrics(self) -> "dict[str, Metric]":
        """Return mean average precision at an overlap of 0.5 and over overlaps, and the errors of counts."""
        from mtl_cli.metrics.box_precision import BoxPrecision
        from mtl_cli.metrics.object_counts import CountError, RelativeCountError

        return {
            "map50": BoxPrecision((0.5,)),
            "map": BoxPrecision(np.linspace(0.5, 0.95, 10).tolist()),
            "count_mae": CountError(self.threshold),
            "count_rel": RelativeCountError(self.threshold),
        }

    def predictions(self, outputs: Maps) -> Tensor:
        """Return boxes [B, K, 6] by falling score: x₁, y₁, x₂, y₂ in pixels of the input, score, class."""
        scores, kinds, rows, columns = find_peaks(outputs["heat"].sigmoid(), self.max_boxes)
        cell = torch.stack([columns, rows], dim=-1)  # [B, K, 2]
        centre = (cell + at_positions(outputs["offset"], rows, columns)) * outputs["stride"].reshape(-1, 1, 1)
        half = at_positions(outputs["size"], rows, columns).clamp(max=10).exp() * self.mean_size.to(centre.device) / 2
        boxes = torch.cat([centre - half, centre + half, scores.unsqueeze(-1), kinds.unsqueeze(-1)], dim=-1)
        return boxes if self.max_overlap == 1.0 else without_doubles(boxes, self.max_overlap)

    def decode(self, outputs: Maps) -> Columns:
        """Return the number of boxes of each image."""
        counts = (self.predictions(outputs)[..., 4] >= self.threshold).sum(dim=1)
        return {f"{self.name}_count": counts.cpu().numpy()}

    def columns_of_no_rows(self) -> Columns:
        """Return the columns that `write` adds, without a row."""
        return {f"{self.name}_count": np.zeros(0, dtype=np.int64)}

    def write(self, outputs: Maps, predictions: Predictions) -> None:
        """Add the number of boxes and the boxes of each row, in pixels of its file."""
        predictions.columns |= self.decode(outputs)
        rows = []
        for row, boxes in enumerate(self.predictions(outputs)):
            kept = boxes[boxes[:, 4] >= self.threshold]
            if predictions.frames:
                kept = torch.cat([predictions.frames[row].boxes_back(kept[:, :4]), kept[:, 4:]], dim=1)
            rows.append(kept.cpu().numpy())
        predictions.boxes[self.name] = Boxes(tuple(class_labels(self.field, self.num_outputs)), rows)

    def shown(self, target: Tensor | None, outputs: Maps) -> tuple[Shown | None, Shown | None]:
        """Return true and predicted boxes on the image, with their numbers."""
        every = self.predictions(outputs)[0]
        found = every[every[:, 4] >= self.threshold][:, [0, 1, 2, 3, 5]].numpy()
        truth = None
        if target is not None:
            boxes = target[0][set_entries(target)[0]].numpy()
            truth = Shown(f"{len(boxes)} boxes", boxes=boxes)
        return truth, Shown(f"{len(found)} boxes", boxes=found)

    def in_graph(self, outputs: Maps, size: tuple[int, int] | None) -> Tensor:
        """Return boxes [B, K, 6] in pixels of the input."""
        return self.predictions(outputs)

    def after_graph(self) -> dict[str, Any]:
        """Return which boxes are told, and the names of their classes."""
        names = list(map(str, class_labels(self.field, self.num_outputs)))
        return {"kind": "boxes", "names": names, "threshold": self.threshold}

    def trivial_outputs(self, summary: BoxTotals) -> Maps:
        """Return maps of one position that find nothing."""
        heat = torch.full((self.num_outputs,), -10.0)
        return {"heat": heat, "size": torch.full((2,), -10.0), "offset": torch.zeros(2), "stride": torch.tensor(1.0)}

    def repeated(self, outputs: Maps, target: Tensor) -> Maps:
        """Return the maps for each image of `target`."""
        rows = len(target)
        found = {k: v.reshape(1, -1, 1, 1).expand(rows, -1, 1, 1) for k, v in outputs.items() if k != "stride"}
        return found | {"stride": outputs["stride"].expand(rows)}
