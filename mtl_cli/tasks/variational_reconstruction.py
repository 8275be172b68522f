"""An image out of a few random latent numbers: a variational autoencoder, which also generates images."""

import math
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from mtl_cli.batch import FieldSpec
from mtl_cli.heads.base import Head
from mtl_cli.report.shown import Shown
from mtl_cli.tasks.predictions_base import Predictions
from mtl_cli.tasks.reconstruction_base import ChannelTotals, ReconstructionTask

Outputs = Mapping[str, Tensor]


class VariationalReconstruction(ReconstructionTask):
    """The input image out of latent numbers z that the head draws: a variational autoencoder.

    Source: D. Kingma, M. Welling, "Auto-Encoding Variational Bayes", ICLR 2014, equation 10, with Gaussian pixels and
    one draw of z per image and step; I. Higgins et al., "beta-VAE", ICLR 2017, for `beta`. The loss of an image is

        (Σ (x̂ − x)² / C + 2·beta·KL(q(z|x) ‖ N(0, 1)) / C) / (number of its pixels),

    which is the negative evidence lower bound times a constant, where pixels have the variance `beta` on the scale of
    the target. Metrics, and the loss of an evaluation, take the mean of q(z|x) for z.

    `mtl-predict checkpoint=RUN samples=16 output=FILE.png` draws images out of z ~ N(0, 1).
    """

    head_gives: ClassVar[str] = "variational"

    def __init__(
        self, target: str, weight: float, head: Head, beta: float = 0.1, *, name: str, field: FieldSpec
    ) -> None:
        super().__init__(target, weight, head, name=name, field=field)
        if not (math.isfinite(beta) and beta >= 0):
            raise ValueError(f"tasks.{name}.beta is {beta}; it is a number ≥ 0. Use tasks.{name}.beta=0.1.")
        self.beta = beta

    def matched(self, outputs: Outputs, target: Tensor) -> Outputs:  # type: ignore[override]
        """Return the outputs with images of the height and width of the target."""
        return {**outputs, "image": super().matched(outputs["image"], target)}

    def loss(self, outputs: Outputs, target: Tensor) -> Tensor:
        """Return the mean loss of a known pixel: `image` [B, C, h, w], `mean` and `log_variance` [B, Z]."""
        marks = self.label_marks(target)
        known = marks.flatten(1).any(dim=1)  # [B]
        mean, log_variance = outputs["mean"], outputs["log_variance"]
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1)  # [B]
        penalty = torch.where(known, divergence, 0.0).sum() / marks.sum().clamp(min=1)
        image = self.matched(outputs, target)["image"]
        return self.pixel_loss(image, target) + 2 * self.beta * penalty / self.num_outputs

    def predictions(self, outputs: Outputs | Tensor) -> Tensor:
        """Return images [B, C, H, W] on a scale where white is 1."""
        return super().predictions(outputs if isinstance(outputs, Tensor) else outputs["image"])

    def write(self, outputs: Outputs, predictions: Predictions) -> None:  # type: ignore[override]
        """Add the file of each row's image."""
        super().write(outputs["image"], predictions)

    def shown(self, target: Tensor | None, outputs: Outputs) -> tuple[Shown | None, Shown | None]:  # type: ignore[override]
        """Return the image and its reconstruction."""
        return super().shown(target, outputs["image"])

    def trivial_outputs(self, summary: ChannelTotals) -> Outputs:
        """Return the mean of each channel, with latent numbers that say nothing."""
        nothing = torch.zeros(1)
        return {"image": super().trivial_outputs(summary), "mean": nothing, "log_variance": nothing}

    def repeated(self, outputs: Outputs, target: Tensor) -> Outputs:  # type: ignore[override]
        """Return the outputs for every image of `target`."""
        latent = {name: outputs[name].expand(len(target), -1) for name in ("mean", "log_variance")}
        return {"image": super().repeated(outputs["image"], target), **latent}
