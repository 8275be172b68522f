"""Layers on padded sequences; in none of them padding changes a result."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from mtl_cli.batch import InputSpec
from mtl_cli.features import Features, Stage
from mtl_cli.layers.recurrent_graph import in_graph
from mtl_cli.layers.table import SummedTable


class EmbedText(nn.Module):
    """Vectors of pieces [B, L, D], with sinusoids of their positions where `positions` asks for them."""

    def __init__(self, size: int, width: int, dropout: float = 0.0, positions: bool = False) -> None:
        super().__init__()
        self.table = nn.Embedding(size, width)
        nn.init.normal_(self.table.weight, std=width**-0.5)
        self.dropout, self.positions = nn.Dropout(dropout), positions

    def forward(self, values: Mapping[str, Tensor]) -> Features:
        """Return the vectors of `ids` [B, L] under their `mask` [B, L]."""
        vectors = self.table(values["ids"])
        if self.positions:
            vectors = vectors * vectors.shape[-1] ** 0.5 + sinusoids(vectors.shape[1], vectors.shape[2], vectors)
        return Features(self.dropout(vectors), values["mask"])


def sinusoids(length: int, width: int, like: Tensor) -> Tensor:
    """Return position vectors [L, D] on the device of `like`: Vaswani et al., NIPS 2017, section 3.5."""
    at = torch.arange(length, device=like.device, dtype=torch.float32)[:, None]  # [L, 1]
    rates = torch.exp(torch.arange(0, width, 2, device=like.device) * (-math.log(10000.0) / width))  # [D / 2]
    angles = at * rates
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)[:, :width].to(like.dtype)


class Recurrent(Stage):
    """A bidirectional layer, LSTM or GRU, on packed sequences, and a linear map that mixes its two directions.

    It maps [B, L, D] to [B, L, width]; each direction has half of the width.
    """

    takes_mask = True

    def __init__(self, layer: type[nn.LSTM] | type[nn.GRU], fan_in: int, width: int, dropout: float) -> None:
        super().__init__()
        self.layer = layer(fan_in, width // 2, batch_first=True, bidirectional=True)
        self.mix, self.dropout = nn.Linear(width, width), nn.Dropout(dropout)

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        """Return values [B, L, width]."""
        if torch.compiler.is_exporting():
            return self.dropout(self.mix(in_graph(self.layer, values, mask.sum(dim=1))))
        lengths = mask.sum(dim=1).cpu()
        packed = pack_padded_sequence(values, lengths, batch_first=True, enforce_sorted=False)
        out, _ = pad_packed_sequence(self.layer(packed)[0], batch_first=True, total_length=values.shape[1])
        return self.dropout(self.mix(out))


class TextConvolution(Stage):
    """Convolutions of several widths side by side, [B, L, D] to [B, L, channels · widths]; padding counts as zeros."""

    takes_mask = True

    def __init__(
        self, fan_in: int, channels: int, widths: Sequence[int], activation: nn.Module, dropout: float
    ) -> None:
        super().__init__()
        self.widths = list(widths)
        self.convolutions = nn.ModuleList(nn.Conv1d(fan_in, channels, width) for width in widths)
        self.activation, self.dropout = activation, nn.Dropout(dropout)

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        """Return values [B, L, channels · widths]; windows are centred, even ones see one more to the right."""
        x = (values * mask.unsqueeze(-1)).transpose(1, 2)  # [B, D, L]
        parts = []
        for width, convolution in zip(self.widths, self.convolutions, strict=True):
            parts.append(convolution(F.pad(x, ((width - 1) // 2, width // 2))))
        return self.dropout(self.activation(torch.cat(parts, dim=1).transpose(1, 2)))


class MaxOverTime(Stage):
    """The largest value of each channel among real tokens: [B, L, D] to [B, D]."""

    takes_mask = True

    def forward(self, values: Tensor, mask: Tensor) -> Features:
        """Return vectors [B, D]."""
        return Features(values.masked_fill(~mask.unsqueeze(-1), -torch.inf).amax(dim=1))


class TransformerLayer(Stage):
    """Self-attention and a feed-forward network, each followed by dropout, the sum with its input, and normalisation.

    Source: Vaswani et al., "Attention is all you need", NIPS 2017, section 3.1. Differs from it in GELU.
    """

    takes_mask = True

    def __init__(self, width: int, num_heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.num_heads, self.dropout_p = num_heads, dropout
        self.project, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.feed = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, width))
        self.norm1, self.norm2, self.dropout = nn.LayerNorm(width), nn.LayerNorm(width), nn.Dropout(dropout)

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        """Return values [B, L, D]."""
        heads = self.project(values).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        query, key, value = heads  # each [B, H, L, D / H]
        p = self.dropout_p if self.training else 0.0
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask[:, None, None, :], dropout_p=p)
        values = self.norm1(values + self.dropout(self.out(mixed.transpose(1, 2).flatten(2))))
        return self.norm2(values + self.dropout(self.feed(values)))


class TextBesideTable(nn.Module):
    """A stem of texts that adds one vector of the row's table columns to the vector of every piece.

    In the same way BERT adds the vector of a segment to its pieces (Devlin et al., NAACL 2019, figure 2). Numbers go
    through a linear layer, and each category has a vector of its own. Lengths and masks stay as they are, and every
    layer sees text and columns together.

    Args:
        text: the stem.
        columns: maps the columns to vectors [B, D] of the stem's width.
    """

    def __init__(self, text: nn.Module, columns: "ScaledTable") -> None:
        super().__init__()
        self.text, self.columns = text, columns

    def forward(self, values: Mapping[str, Tensor]) -> Features:
        """Return vectors [B, L, D]."""
        features = self.text(values)
        return features.replace(features.values + self.columns(values).unsqueeze(1))


class ScaledTable(SummedTable):
    """Vectors of table columns whose values start at about the size `std`, which is that of the vectors of pieces."""

    def __init__(self, spec: InputSpec, out: int, std: float) -> None:
        super().__init__(spec, out)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.mul_(std)


class MeanOfText(nn.Module):
    """The mean vector of a text's pieces, [B, D]."""

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        self.embed = EmbedText(size, width)

    def forward(self, values: Mapping[str, Tensor]) -> Tensor:
        """Return vectors [B, D] of `ids` [B, L] under their `mask` [B, L]."""
        features = self.embed(values)
        weight = values["mask"].to(features.values.dtype).unsqueeze(-1)
        return (features.values * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1.0)
