"""Layers on frames of sounds; in none of them padding changes a result."""

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional as F

from mtl_cli.features import Features, Stage
from mtl_cli.layers.text import sinusoids


class EmbedFrames(nn.Module):
    """Vectors of frames [B, L, D] by a linear layer, with sinusoids of their positions where these are asked for."""

    def __init__(self, size: int, width: int, dropout: float = 0.0, positions: bool = False) -> None:
        super().__init__()
        self.linear = nn.Linear(size, width)
        self.dropout, self.positions = nn.Dropout(dropout), positions

    def forward(self, values: Mapping[str, Tensor]) -> Features:
        """Return the vectors of `frames` [B, L, D] under their `mask` [B, L]."""
        vectors = self.linear(values["frames"])
        if self.positions:
            vectors = vectors + sinusoids(vectors.shape[1], vectors.shape[2], vectors)
        return Features(self.dropout(vectors), values["mask"])


class PlainFrames(nn.Module):
    """The frames as they are."""

    def forward(self, values: Mapping[str, Tensor]) -> Features:
        """Return `frames` [B, L, D] under their `mask` [B, L]."""
        return Features(values["frames"], values["mask"])


class JoinFrames(Stage):
    """Convolutions over time and frequency that keep every second frame each: [B, L, D] to [B, ⌈L/factor⌉, width].

    Each halves time and frequencies; without one (factor 1) the first keeps all frames. A linear layer follows, and
    sinusoids of positions.
    """

    takes_mask = True

    def __init__(self, size: int, channels: int, width: int, factor: int, dropout: float) -> None:
        super().__init__()
        strides = {1: (1,), 2: (2,), 4: (2, 2), 8: (2, 2, 2)}[factor]
        fans = [1, *[channels] * (len(strides) - 1)]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(fan, channels, 3, stride=(stride, 2), padding=1)
            for fan, stride in zip(fans, strides, strict=True)
        )
        self.strides = strides
        for _ in strides:
            size = -(-size // 2)
        self.linear, self.dropout = nn.Linear(channels * size, width), nn.Dropout(dropout)

    def forward(self, values: Tensor, mask: Tensor) -> Features:
        """Return values [B, L', width] and their mask."""
        x = values.unsqueeze(1)  # [B, 1, L, D]
        for convolution, stride in zip(self.convolutions, self.strides, strict=True):
            x = F.relu(convolution(x * mask[:, None, :, None]))
            mask = mask[:, ::stride]
        vectors = self.linear(x.transpose(1, 2).flatten(2))
        return Features(self.dropout(vectors + sinusoids(vectors.shape[1], vectors.shape[2], vectors)), mask)


class ConformerLayer(Stage):
    """Half a feed-forward network, self-attention, a convolution, another half, and normalisation: [B, L, D].

    Source: Gulati et al., "Conformer: convolution-augmented transformer for speech recognition", Interspeech 2020,
    section 2. Differs from it in positions, which are sinusoids added once below, and in the normalisation of the
    convolution, which is over the channels of each frame instead of over the batch: padding and other datasets do not
    count.
    """

    takes_mask = True

    def __init__(self, width: int, num_heads: int, hidden: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.num_heads, self.dropout_p, self.kernel = num_heads, dropout, kernel
        self.feed1, self.feed2 = (
            nn.Sequential(
                nn.LayerNorm(width),
                nn.Linear(width, hidden),
                nn.SiLU(),
                nn.Dropout(dropout),
                nn.Linear(hidden, width),
                nn.Dropout(dropout),
            )
            for _ in range(2)
        )
        self.norm_attention, self.norm_convolution = nn.LayerNorm(width), nn.LayerNorm(width)
        self.project, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.gate = nn.Linear(width, 2 * width)
        self.depthwise = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.norm_depthwise, self.mix = nn.LayerNorm(width), nn.Linear(width, width)
        self.norm, self.dropout = nn.LayerNorm(width), nn.Dropout(dropout)

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        """Return values [B, L, D]."""
        values = values + 0.5 * self.feed1(values)
        values = values + self.dropout(self._attention(self.norm_attention(values), mask))
        values = values + self.dropout(self._convolution(self.norm_convolution(values), mask))
        return self.norm(values + 0.5 * self.feed2(values))

    def _attention(self, values: Tensor, mask: Tensor) -> Tensor:
        query, key, value = self.project(values).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        p = self.dropout_p if self.training else 0.0
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask[:, None, None, :], dropout_p=p)
        return self.out(mixed.transpose(1, 2).flatten(2))

    def _convolution(self, values: Tensor, mask: Tensor) -> Tensor:
        gated = F.glu(self.gate(values)) * mask.unsqueeze(-1)
        found = self.depthwise(gated.transpose(1, 2)).transpose(1, 2)
        return self.mix(F.silu(self.norm_depthwise(found)))
