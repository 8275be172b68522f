"""The direction of the surface at every pixel."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mtl_cli.batch import FieldSpec
from mtl_cli.metrics.base import MetricInfo
from mtl_cli.report.shown import direction_colours
from mtl_cli.tasks.base import masked_mean
from mtl_cli.tasks.dense_base import DenseTask
from mtl_cli.tasks.predictions_base import Columns
from mtl_cli.tasks.summary_base import LabelSummary

if TYPE_CHECKING:
    from mtl_cli.metrics.base import Metric


class NormalTotals(LabelSummary):
    """The sum of the known vectors."""

    def __init__(self, field: FieldSpec) -> None:
        super().__init__(field)
        self.total = torch.zeros(3, dtype=torch.float64)

    @staticmethod
    def marks(labels: Tensor) -> Tensor:
        """True where a pixel has a vector, [B, H, W]."""
        return ~torch.isnan(labels).any(dim=1)

    @staticmethod
    def problem(field: FieldSpec, labels: Tensor) -> str | None:
        """Return that a vector is not of unit length."""
        length = labels.norm(dim=1)
        wrong = length[(length - 1).abs() > 0.02]
        return f"holds a vector of length {wrong[0]:g}; normals are unit vectors or missing" if len(wrong) else None

    def take(self, labels: Tensor, marks: Tensor) -> None:
        """Add up the vectors [B, 3, H, W]."""
        self.total += torch.where(marks.unsqueeze(1), labels, 0.0).sum(dim=(0, 2, 3), dtype=torch.float64)

    def tensors(self) -> dict[str, Tensor]:
        """Return the sum."""
        return {"total": self.total}


class Normals(DenseTask):
    """A unit vector for every pixel; NaN where it is not known. The loss is 1 − cos of the angle to the label.

    Targets float32 [B, 3, H, W]; outputs [B, 3, h, w] are brought to unit length. Metrics are over all known pixels of
    a split: mean and median of the angle in degrees, and the share of pixels `within` 11.25, 22.5 and 30 degrees. The
    median is taken from a histogram of steps of 0.01 degrees, whose middle is at most 0.005 off.
    """

    field_kind = "normals"
    primary = "angle_mean"
    accepts: ClassVar[tuple[str, ...]] = ("normals",)
    summary_class: ClassVar[type[LabelSummary]] = NormalTotals
    metric_info: Mapping[str, MetricInfo] = {
        "angle_mean": MetricInfo(lower_is_better=True),
        "angle_median": MetricInfo(lower_is_better=True),
        "within_11": MetricInfo(),
        "within_22": MetricInfo(),
        "within_30": MetricInfo(),
    }

    @property
    def num_outputs(self) -> int:
        """Three."""
        return 3

    def loss(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Return the mean of 1 − cos over known pixels."""
        cosine = (self.predictions(self.matched(outputs, target)) * target.nan_to_num()).sum(dim=1)  # [B, H, W]
        return masked_mean(1.0 - cosine, self.label_marks(target))

    def metrics(self) -> "dict[str, Metric]":
        """Return the statistics of the angles."""
        from mtl_cli.metrics.angles import AngleMean, AngleMedian, AngleWithin

        within = {"within_11": 11.25, "within_22": 22.5, "within_30": 30.0}
        shares: dict[str, Metric] = {name: AngleWithin(degrees) for name, degrees in within.items()}
        return {"angle_mean": AngleMean(), "angle_median": AngleMedian(), **shares}

    def predictions(self, outputs: Tensor) -> Tensor:
        """Return unit vectors [B, 3, H, W]."""
        return F.normalize(outputs, dim=1, eps=1e-6)

    def decode(self, outputs: Tensor) -> Columns:
        """Return nothing: normals are files."""
        return {}

    def files(self, maps: Tensor) -> "Mapping[str, np.ndarray[Any, Any]]":
        """Return an array float32 [3, H, W]."""
        return {".npy": self.predictions(maps.unsqueeze(0))[0].cpu().numpy()}

    def coloured(self, maps: "Sequence[np.ndarray[Any, Any]]") -> "list[np.ndarray[Any, Any]]":
        """Return unit vectors [3, H, W] with a colour for each direction."""
        return [direction_colours(each) for each in maps]

    def after_graph(self) -> dict[str, Any]:
        """Return that outputs are brought to unit length."""
        return {"kind": "directions", "names": []}

    def trivial_outputs(self, summary: NormalTotals) -> Tensor:
        """Return the direction of the sum of the known training vectors [3]; towards the viewer where there is none."""
        found = summary.total.float()
        return F.normalize(found, dim=0) if bool(found.any()) else torch.tensor([0.0, 0.0, 1.0])
