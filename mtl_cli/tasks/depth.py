"""A distance for every pixel."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from mtl_cli.batch import FieldSpec, labelled
from mtl_cli.heads.base import Head
from mtl_cli.metrics.base import MetricInfo
from mtl_cli.tasks.base import masked_mean
from mtl_cli.tasks.dense_base import DenseTask
from mtl_cli.tasks.predictions_base import Columns, Predictions
from mtl_cli.tasks.summary_base import LabelSummary, Medians

if TYPE_CHECKING:
    from mtl_cli.metrics.base import Metric

FORMATS = ("png", "npy")
LARGEST = 65535


class DepthTotals(Medians):
    """Number, sum and sum of squares of the known pixels beside their median; fills in the field's mean and std."""

    def __init__(self, field: FieldSpec) -> None:
        super().__init__(field)
        self.sums = torch.zeros(3, dtype=torch.float64)  # 1, y, y²

    def take(self, labels: Tensor, marks: Tensor) -> None:
        """Add up the pixels [B, H, W]."""
        known = labels[marks]
        if len(known):
            super().take(known, marks[marks])
        exact = known.double()
        self.sums += torch.stack([torch.ones_like(exact), exact, exact.square()]).sum(dim=1)

    def spec(self) -> FieldSpec:
        """Return the spec with mean and standard deviation of the pixels."""
        if self.field.mean or not self.sums[0] > 0:
            return self.field
        count, total, squares = self.sums.tolist()
        mean = total / count
        return replace(self.field, mean=(mean,), std=(math.sqrt(max(0.0, squares / count - mean**2)),))

    def tensors(self) -> dict[str, Tensor]:
        """Return the median and the sums."""
        return {**super().tensors(), "sums": self.sums}


class Depth(DenseTask):
    """A distance for every pixel, by absolute error; NaN where it is not known.

    Targets float32 [B, H, W] are in the unit of their files; outputs [B, 1, h, w] are on the scale (y − mean)/std of
    the training pixels, and so is the loss, the mean absolute error of the known pixels. Metrics are means over all
    known pixels of a split: `abs_err` |ŷ − y|, in the target's unit, and `rel_err` |ŷ − y|/|y|, where y is not 0.

    `depth_format` png writes 16-bit images, whose README.txt says how many units one step is; npy writes float32.
    """

    field_kind = "depth"
    primary = "rel_err"
    accepts: ClassVar[tuple[str, ...]] = ("depth",)
    summary_class: ClassVar[type[LabelSummary]] = DepthTotals
    metric_info: Mapping[str, MetricInfo] = {
        "rel_err": MetricInfo(lower_is_better=True),
        "abs_err": MetricInfo(lower_is_better=True),
    }

    def __init__(
        self, target: str, weight: float, head: Head, depth_format: str = "png", *, name: str, field: FieldSpec
    ) -> None:
        super().__init__(target, weight, head, name=name, field=field)
        if depth_format not in FORMATS:
            raise ValueError(
                f"tasks.{name}.depth_format is '{depth_format}'; it is png or npy. Use tasks.{name}.depth_format=png."
            )
        self.depth_format = depth_format
        self.mean = field.mean[0] if field.mean else 0.0
        self.std = field.std[0] if field.std and field.std[0] > 0 else 1.0

    @property
    def num_outputs(self) -> int:
        """One."""
        return 1

    @property
    def step(self) -> float:
        """The distance that a step of a 16-bit image is: a power of ten at which mean + 10 std still fits."""
        reach = abs(self.mean) + 10 * self.std
        return float(10.0 ** math.ceil(math.log10(reach / LARGEST)))

    def loss(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Return the mean absolute error of a known pixel, on the scale of the outputs."""
        scaled = (target.nan_to_num() - self.mean) / self.std
        return masked_mean((self.matched(outputs, target)[:, 0] - scaled).abs(), labelled(target))

    def metrics(self) -> "dict[str, Metric]":
        """Return the relative and the absolute error."""
        from mtl_cli.metrics.pixel_error import PixelError, RelativePixelError

        return {"rel_err": RelativePixelError(), "abs_err": PixelError()}

    def predictions(self, outputs: Tensor) -> Tensor:
        """Return distances [B, H, W] in the target's unit."""
        return outputs[:, 0] * self.std + self.mean

    def decode(self, outputs: Tensor) -> Columns:
        """Return the mean distance of each image."""
        return {f"{self.name}_mean": self.predictions(outputs).mean(dim=(1, 2)).cpu().numpy()}

    def files(self, maps: Tensor) -> "Mapping[str, np.ndarray[Any, Any]]":
        """Return an image of 16 bits, or an array float32 [H, W]."""
        found = self.predictions(maps.unsqueeze(0))[0].cpu().numpy()
        if self.depth_format == "npy":
            return {".npy": found}
        return {".png": np.rint(found / self.step).clip(0, LARGEST).astype(np.uint16)}

    def array(self, maps: Tensor) -> "np.ndarray[Any, Any]":
        """Return the distances float32 [H, W]."""
        return self.predictions(maps.unsqueeze(0))[0].cpu().numpy()

    def write(self, outputs: Tensor, predictions: Predictions) -> None:
        """Add the files, and the scale of images."""
        super().write(outputs, predictions)
        if self.depth_format == "png":
            predictions.notes[f"{self.name}/README.txt"] = (
                f"PNG images of 16 bits. A step is {self.step:g} in the unit of the training labels: depth = value × "
                f"{self.step:g}.\nWhat lies outside 0 … {LARGEST * self.step:g} is cut off there.\n"
            )

    def after_graph(self) -> dict[str, Any]:
        """Return the scale of the outputs."""
        return {"kind": "numbers", "names": [f"{self.name}_mean"], "mean": self.mean, "std": self.std}

    def trivial_outputs(self, summary: DepthTotals) -> Tensor:
        """Return the median of the known training pixels [1], scaled."""
        return ((summary.medians - self.mean) / self.std).nan_to_num()
