"""Mean average precision of boxes, as COCO counts it."""

import importlib.util
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from mtl_cli.batch import set_entries
from mtl_cli.errors import UserError
from mtl_cli.metrics.base import Metric

BACKENDS: "tuple[Literal['faster_coco_eval', 'pycocotools'], ...]" = ("faster_coco_eval", "pycocotools")
"""Modules that count as COCO does, by preference."""


def backend() -> "Literal['faster_coco_eval', 'pycocotools']":
    """Return the module that counts.

    Raises:
        UserError: none is installed.
    """
    for module in BACKENDS:
        if importlib.util.find_spec(module) is not None:
            return module
    raise UserError(
        "Mean average precision of boxes needs faster-coco-eval or pycocotools. Install one: "
        "pip install 'mtl-cli[images]'."
    )


class BoxPrecision(Metric):
    """Mean over classes and `overlaps` of the average precision; NaN where there is no box to find.

    Predictions [B, K, 6] hold x₁, y₁, x₂, y₂, score and class; the target [B, N, 5] is a padded set of boxes and their
    classes. The state is the boxes of all images, gathered on the host, with the number in each image.
    """

    found: list[Tensor]
    found_counts: list[Tensor]
    true: list[Tensor]
    true_counts: list[Tensor]

    def __init__(self, overlaps: Sequence[float], max_boxes: int) -> None:
        super().__init__()
        self.overlaps, self.max_boxes, self.backend = tuple(overlaps), max_boxes, backend()
        for name in ("found", "found_counts", "true", "true_counts"):
            self.add_state(name, [], dist_reduce_fx="cat")

    def update(self, predictions: Tensor, target: Tensor) -> None:
        """Take in the boxes of images."""
        predictions, target = predictions.detach().float().cpu(), target.cpu()
        there, any_score = set_entries(target), predictions[..., 4] > 0
        self.found.append(predictions[any_score])
        self.found_counts.append(any_score.sum(dim=1))
        self.true.append(target[there])
        self.true_counts.append(there.sum(dim=1))

    def compute(self) -> Tensor:
        """Return the mean average precision."""
        from torchmetrics.detection import MeanAveragePrecision

        found = torch.cat(self.found).split(torch.cat(self.found_counts).tolist())
        true = torch.cat(self.true).split(torch.cat(self.true_counts).tolist())
        metric = MeanAveragePrecision(
            iou_thresholds=list(self.overlaps),
            rec_thresholds=np.linspace(0, 1, 101).tolist(),  # its own are of float32, and miss a recall of 0.2
            max_detection_thresholds=[1, 10, max(11, self.max_boxes)],
            backend=self.backend,
            distributed_available_fn=lambda: (
                False
            ),  # on several processes it would wait for all; they are gathered here
        )
        metric.warn_on_many_detections = False
        metric.update(
            [{"boxes": rows[:, :4], "scores": rows[:, 4], "labels": rows[:, 5].long()} for rows in found],
            [{"boxes": rows[:, :4], "labels": rows[:, 4].long()} for rows in true],
        )
        value = metric.compute()["map"].double()
        return torch.where(value < 0, torch.nan, value)
