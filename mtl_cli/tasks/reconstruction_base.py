"""What tasks have in common whose target is the image itself."""

from abc import ABC
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from mtl_cli.batch import FieldSpec
from mtl_cli.features import FeatureSpec
from mtl_cli.heads.base import Head
from mtl_cli.metrics.base import MetricInfo
from mtl_cli.tasks.base import masked_mean
from mtl_cli.tasks.dense_base import DenseTask
from mtl_cli.tasks.predictions_base import Columns
from mtl_cli.tasks.summary_base import LabelSummary

if TYPE_CHECKING:
    from mtl_cli.metrics.base import Metric

Array = np.ndarray[Any, Any]


class ChannelTotals(LabelSummary):
    """The sum of the known pixels of each channel and their number."""

    def __init__(self, field: FieldSpec) -> None:
        super().__init__(field)
        self.sums = torch.zeros(2, field.shape[0] if field.shape else 1, dtype=torch.float64)  # 1, x

    @staticmethod
    def marks(labels: Tensor) -> Tensor:
        """True where a pixel is known, [B, H, W]."""
        return ~torch.isnan(labels).any(dim=1)

    def take(self, labels: Tensor, marks: Tensor) -> None:
        """Add up the pixels [B, C, H, W]."""
        known = marks.unsqueeze(1)
        self.sums[0] += known.sum()
        self.sums[1] += torch.where(known, labels, 0.0).sum(dim=(0, 2, 3), dtype=torch.float64)

    def tensors(self) -> dict[str, Tensor]:
        """Return the sums."""
        return {"sums": self.sums}


class ReconstructionTask(DenseTask, ABC):
    """An image out of features: squared errors of pixels.

    Targets float32 [B, C, H, W] are the inputs, as (pixel − mean)/std, before noise and erasing change them, and NaN
    beyond an image that was filled up. So with `noise` or `erase` of the dataset it is a denoising autoencoder. The
    outputs are on the same scale. Metrics are over all known pixels of a split, on a scale where white is 1: the root
    of the mean squared error `rmse` and the mean absolute error `mae`.

    mtl-predict writes what the features tell of each image as PNG, or as an array where channels are not 1 or 3.
    """

    field_kind = "image"
    primary = "rmse"
    accepts: ClassVar[tuple[str, ...]] = ("image",)
    summary_class: ClassVar[type[LabelSummary]] = ChannelTotals
    metric_info: Mapping[str, MetricInfo] = {
        "rmse": MetricInfo(lower_is_better=True),
        "mae": MetricInfo(lower_is_better=True),
    }

    def __init__(self, target: str, weight: float, head: Head, *, name: str, field: FieldSpec) -> None:
        super().__init__(target, weight, head, name=name, field=field)
        channels = self.num_outputs
        self.mean = torch.tensor(field.mean or (0.0,) * channels).reshape(-1, 1, 1)
        self.std = torch.tensor(field.std or (1.0,) * channels).reshape(-1, 1, 1)

    @property
    def num_outputs(self) -> int:
        """C, the number of channels."""
        return self.field.shape[0]

    def build_head(self, spec: FeatureSpec) -> nn.Module:
        """Return the head, which knows the height and width of training images."""
        size = (self.field.shape[1], self.field.shape[2])
        return self.head.build(replace(spec, image=spec.image or size), self.num_outputs)

    def pixel_loss(self, images: Tensor, target: Tensor) -> Tensor:
        """Return the mean over known pixels of the squared error, which is a mean over channels."""
        errors = (images - target.nan_to_num()).square().mean(dim=1)  # [B, H, W]
        return masked_mean(errors, self.label_marks(target))

    def metrics(self) -> "dict[str, Metric]":
        """Return the root mean squared error and the mean absolute error."""
        from mtl_cli.metrics.pixel_error import PixelError, RootMeanSquare

        return {"rmse": RootMeanSquare(), "mae": PixelError()}

    def predictions(self, outputs: Tensor) -> Tensor:
        """Return images [B, C, H, W] on a scale where white is 1."""
        return outputs * self.std.to(outputs.device) + self.mean.to(outputs.device)

    def references(self, target: Tensor) -> Tensor:
        """Return the target on that scale."""
        return self.predictions(target)

    def decode(self, outputs: Tensor) -> Columns:
        """Return no column."""
        return {}

    def files(self, maps: Tensor) -> "Mapping[str, Array]":
        """Return the image as PNG [H, W] or [H, W, 3], or as an array float32 [C, H, W]."""
        found = self.array(maps)
        if len(found) not in (1, 3):
            return {".npy": found}
        pixels = np.rint(255 * found.clip(0, 1)).astype(np.uint8)
        return {".png": pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)}

    def array(self, maps: Tensor) -> Array:
        """Return the image float32 [C, H, W] on a scale where white is 1."""
        return self.predictions(maps.unsqueeze(0))[0].cpu().float().numpy()

    def coloured(self, maps: "Sequence[Array]") -> "list[Array]":
        """Return images [C, H, W] on a scale where white is 1 as pictures [H, W, 3]."""
        found = [each[:3] if len(each) >= 3 else np.repeat(each[:1], 3, axis=0) for each in maps]
        return [np.nan_to_num(each).clip(0, 1).transpose(1, 2, 0) for each in found]

    def trivial_outputs(self, summary: ChannelTotals) -> Any:  # noqa: ANN401  an Output of the head
        """Return the mean of each channel [C]."""
        return (summary.sums[1] / summary.sums[0]).nan_to_num().float()
