"""Named points of an object, each visible or not."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from mtl_cli.batch import FieldSpec
from mtl_cli.heads.base import Head
from mtl_cli.metrics.base import MetricInfo
from mtl_cli.report.shown import Shown
from mtl_cli.tasks.base import Task, masked_mean
from mtl_cli.tasks.predictions_base import Columns, Predictions
from mtl_cli.tasks.summary_base import LabelSummary

if TYPE_CHECKING:
    from mtl_cli.metrics.base import Metric

Maps = Mapping[str, Tensor]


class PointTotals(LabelSummary):
    """The mean place of each keypoint, and how often it is visible."""

    def __init__(self, field: FieldSpec) -> None:
        super().__init__(field)
        self.sums = torch.zeros(field.shape[0], 4, dtype=torch.float64)  # visible, their x and y; labelled

    @staticmethod
    def marks(labels: Tensor) -> Tensor:
        """True for keypoints [B, K] of which is known whether they are visible."""
        return ~torch.isnan(labels[..., 2])

    @staticmethod
    def problem(field: FieldSpec, labels: Tensor) -> str | None:
        """Return that a visibility is neither 0 nor 1, or that a visible point has no place."""
        visible = labels[..., 2]
        wrong = visible[~torch.isnan(visible) & (visible != 0) & (visible != 1)]
        if len(wrong):
            return f"holds the visibility {wrong[0]:g}; it is 0, 1 or missing"
        lost = (visible == 1) & ~labels[..., :2].isfinite().all(dim=-1)
        return "holds a visible keypoint without a place" if bool(lost.any()) else None

    def take(self, labels: Tensor, marks: Tensor) -> None:
        """Add up the keypoints [B, K, 3]."""
        seen = labels[..., 2] == 1
        places = torch.where(seen.unsqueeze(-1), labels[..., :2], 0.0).sum(dim=0, dtype=torch.float64)
        self.sums += torch.cat([seen.sum(dim=0)[:, None], places, marks.sum(dim=0)[:, None]], dim=1)

    def tensors(self) -> dict[str, Tensor]:
        """Return the sums."""
        return {"sums": self.sums}


def shown_points(points: Tensor, visible: Tensor) -> Shown:
    """Return the visible ones of points [K, 3], each with its number."""
    numbered = torch.cat([points[:, :2], torch.arange(len(points)).unsqueeze(1)], dim=1)[visible].float()
    return Shown(f"{len(numbered)} points", points=numbered.numpy())


class Keypoints(Task):
    """The places of K points of the object in an image, and which of them are visible.

    Source: Sun, Xiao, Wei, Liang, Wei, "Integral Human Pose Regression", ECCV 2018: a place is the expectation over the
    softmax of a heat map, and the loss its absolute error. Differs from the paper in its unit, the larger side of the
    heat map, and in a second loss, the binary cross-entropy of visibility.

    Targets float32 [B, K, 3] hold x and y in pixels of the input and 1 or 0 for visible or not, NaN where that is not
    known. The loss of a keypoint is the sum of both, the first only where it is visible. Metrics: `error`, the mean
    distance of visible keypoints over the diagonal of the box around those of the image (one with fewer than two is
    left out); `pck`, the share of them within 0.1 of it; `visibility`, the accuracy of what is visible.
    """

    field_kind = "keypoints"
    primary = "error"
    head_gives: ClassVar[str] = "keypoints"
    accepts: ClassVar[tuple[str, ...]] = ("keypoints",)
    summary_class: ClassVar[type[LabelSummary]] = PointTotals
    metric_info: Mapping[str, MetricInfo] = {
        "error": MetricInfo(lower_is_better=True),
        "pck": MetricInfo(),
        "visibility": MetricInfo(),
    }

    def __init__(self, target: str, weight: float, head: Head, *, name: str, field: FieldSpec) -> None:
        super().__init__(target, weight, head, name=name, field=field)
        self.names = list(field.columns) if len(field.columns) == self.num_outputs else list(range(self.num_outputs))

    @property
    def num_outputs(self) -> int:
        """K, the number of keypoints."""
        return self.field.shape[0]

    def loss(self, outputs: Maps, target: Tensor) -> Tensor:
        """Return the mean loss of a labelled keypoint; target [B, K, 3]."""
        marks, seen = self.label_marks(target), target[..., 2] == 1
        side = max(outputs["heat"].shape[2:]) * outputs["stride"].reshape(-1, 1)
        errors = (self.places(outputs) - torch.where(seen.unsqueeze(-1), target[..., :2], 0.0)).abs().sum(dim=-1) / side
        visible = F.binary_cross_entropy_with_logits(outputs["visible"], seen.float(), reduction="none")
        return masked_mean(torch.where(seen, errors, 0.0) + visible, marks)

    def places(self, outputs: Maps) -> Tensor:
        """Return the expectation of x and y over each heat map [B, K, 2] in pixels of the input, or what is given."""
        if "places" in outputs:
            return outputs["places"]
        chances = outputs["heat"].flatten(2).softmax(dim=-1).unflatten(2, outputs["heat"].shape[2:])
        down, across = (torch.arange(size, device=chances.device) + 0.5 for size in chances.shape[2:])
        x, y = (chances.sum(dim=2) * across).sum(dim=-1), (chances.sum(dim=3) * down).sum(dim=-1)
        return torch.stack([x, y], dim=-1) * outputs["stride"].reshape(-1, 1, 1)

    def metrics(self) -> "dict[str, Metric]":
        """Return the error of places, the share of good ones, and the accuracy of visibility."""
        from mtl_cli.metrics.keypoints import CorrectKeypoints, KeypointError, VisibleKeypoints

        return {"error": KeypointError(), "pck": CorrectKeypoints(0.1), "visibility": VisibleKeypoints()}

    def predictions(self, outputs: Maps) -> Tensor:
        """Return x, y and the probability of being visible of each keypoint [B, K, 3]."""
        return torch.cat([self.places(outputs), outputs["visible"].sigmoid().unsqueeze(-1)], dim=-1)

    def decode(self, outputs: Maps) -> Columns:
        """Return x, y and visibility of each keypoint as columns, in pixels of the input."""
        return self._columns(self.predictions(outputs))

    def _columns(self, points: Tensor) -> Columns:
        values = points.cpu().numpy()
        return {
            f"{self.name}_{what}_{point}": values[:, k, place]
            for k, point in enumerate(self.names)
            for place, what in enumerate(("x", "y", "visible"))
        }

    def columns_of_no_rows(self) -> Columns:
        """Return the columns that `write` adds, without a row."""
        return self._columns(torch.zeros(0, self.num_outputs, 3))

    def write(self, outputs: Maps, predictions: Predictions) -> None:
        """Add the columns, in pixels of each row's file."""
        points = self.predictions(outputs)
        for row, frame in enumerate(predictions.frames):
            points[row, :, :2] = frame.boxes_back(points[row, :, :2].repeat(1, 2))[:, :2]
        predictions.columns |= self._columns(points)

    def shown(self, target: Tensor | None, outputs: Maps) -> tuple[Shown | None, Shown | None]:
        """Return the true and the predicted points that are visible, on the image."""
        truth = None if target is None else shown_points(target[0], target[0, :, 2] == 1)
        found = self.predictions(outputs)[0]
        return truth, shown_points(found, found[:, 2] > 0.5)

    def in_graph(self, outputs: Maps, size: tuple[int, int] | None) -> Tensor:
        """Return x, y and visibility of each keypoint [B, K, 3], in pixels of the input."""
        return self.predictions(outputs)

    def after_graph(self) -> dict[str, Any]:
        """Return the names of the keypoints."""
        return {"kind": "points", "names": list(map(str, self.names))}

    def trivial_outputs(self, summary: PointTotals) -> Maps:
        """Return the mean place of each keypoint and the log odds of its being visible, with a map of one position."""
        count, x, y, labelled = summary.sums.float().unbind(dim=1)
        places = (torch.stack([x, y], dim=1) / count.unsqueeze(1)).nan_to_num(0.5)
        odds = torch.logit((count / labelled).nan_to_num(0.5), eps=1e-6)
        stride = 2 * places.mean()  # about the side of the image
        return {"heat": torch.zeros(self.num_outputs), "visible": odds, "stride": stride, "places": places}

    def repeated(self, outputs: Maps, target: Tensor) -> Maps:
        """Return the outputs for each image of `target`."""
        rows = len(target)
        found = {name: outputs[name].expand(rows, *outputs[name].shape) for name in ("visible", "stride", "places")}
        return found | {"heat": outputs["heat"].reshape(1, -1, 1, 1).expand(rows, -1, 1, 1)}
