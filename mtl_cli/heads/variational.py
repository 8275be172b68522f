"""A head that makes images of a few random latent numbers."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from mtl_cli.features import Features, FeatureSpec, pool
from mtl_cli.heads.base import Generative
from mtl_cli.heads.image_base import ImageDecoderHead
from mtl_cli.layers.named import initialise
from mtl_cli.layers.upsampling import ImageDecoder

LARGEST = 10.0
"""Logarithms of variances are kept between ± this, so that no draw overflows."""


class VariationalHead(ImageDecoderHead):
    """Latent numbers z from the pooled features, mean and log variance of each by a linear layer; then an image of z.

    Source: D. Kingma, M. Welling, "Auto-Encoding Variational Bayes", ICLR 2014, section 2.4: z = mean + std·ε.

    Args:
        latent: Z, how many latent numbers there are.
        hidden, norm, activation, init: as in `mtl_cli.heads.image_base`.
    """

    gives: ClassVar[str] = "variational"

    def __init__(
        self,
        latent: int = 16,
        hidden: Sequence[int] = (64, 32, 16),
        norm: str = "group",
        activation: str = "relu",
        init: str = "default",
    ) -> None:
        super().__init__(hidden, norm, activation, init)
        if latent < 1:
            raise ValueError(f"head.latent is {latent}; there is at least one. Use head.latent=16.")
        self.latent = latent

    def build(self, spec: FeatureSpec, num_outputs: int) -> nn.Module:
        """Return a module from features to images and the distribution of their latent numbers."""
        module = LatentDecoder(spec.width, self.latent, self.decoder(spec, self.latent, num_outputs))
        initialise(module, self.init)
        return module


class LatentDecoder(Generative):
    """Gives `image` [B, C, H, W], `mean` and `log_variance` [B, Z]; z is drawn in training and the mean otherwise."""

    def __init__(self, fan_in: int, latent: int, decoder: ImageDecoder) -> None:
        super().__init__()
        self.encoder = nn.Linear(fan_in, 2 * latent)
        self.decoder = decoder
        self.latent = latent

    def forward(self, features: Features) -> Mapping[str, Tensor]:
        """Return images and the distributions."""
        mean, log_variance = self.encoder(pool(features)).float().chunk(2, dim=1)
        log_variance = log_variance.clamp(-LARGEST, LARGEST)
        latent = mean + (log_variance / 2).exp() * torch.randn_like(mean) if self.training else mean
        return {"image": self.decoder(latent), "mean": mean, "log_variance": log_variance}

    def drawn(self, number: int, generator: torch.Generator) -> Mapping[str, Tensor]:
        """Return outputs for latent numbers from N(0, 1)."""
        weight = self.encoder.weight
        latent = torch.randn(number, self.latent, generator=generator).to(weight.device)
        nothing = torch.zeros_like(latent)
        return {"image": self.decoder(latent), "mean": nothing, "log_variance": nothing}
