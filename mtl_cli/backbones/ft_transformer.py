"""A transformer over the columns of a table."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mtl_cli.backbones.base import Backbone
from mtl_cli.batch import InputSpec
from mtl_cli.layers.named import check_names, checked_dropout
from mtl_cli.layers.table import CategoryEmbedding


class FTTransformer(Backbone):
    """Stages block1 … blockN: pre-norm transformer blocks over a [CLS] token and one token per column; then vectors.

    Source: Y. Gorishniy, I. Rubachev, V. Khrulkov, A. Babenko, "Revisiting deep learning models for tabular data",
    NeurIPS 2021, section 3.3: a feature tokenizer (here the stem, one per dataset), ReGLU feed-forward layers, no norm
    before the first attention, and of the last block only the [CLS] token, normalised and rectified. Datasets of
    different columns share the blocks: sequences differ in length only.

    Args:
        width: D of a token.
        blocks: N.
        heads: of attention; they divide the width.
        ffn_factor: width of the feed-forward layer over D.
        dropout: probability in the feed-forward layers.
        attention_dropout: probability of each attention weight.
        residual_dropout: probability on each branch before it is added.
        init: initialisation of linear layers.
    """

    takes: ClassVar[tuple[str, ...]] = ("table", "vector")
    gives: ClassVar[tuple[str, ...]] = ("vector",)

    def __init__(
        self,
        width: int,
        blocks: int,
        heads: int,
        ffn_factor: float,
        dropout: float,
        attention_dropout: float,
        residual_dropout: float,
        init: str,
    ) -> None:
        if blocks < 1 or heads < 1 or width < 1 or width % heads:
            raise ValueError(
                f"backbone.width is {width}, backbone.heads {heads}, backbone.blocks {blocks}; each is at least 1, and "
                "the heads divide the width. Use for example backbone.width=192 backbone.heads=8 backbone.blocks=3."
            )
        if round(width * ffn_factor) < 1:
            raise ValueError(f"backbone.ffn_factor is {ffn_factor}; the feed-forward layer has a unit or more.")
        check_names("relu", init)
        self.width, self.blocks, self.heads, self.init = width, blocks, heads, init
        self.hidden = round(width * ffn_factor)
        self.dropouts = tuple(map(checked_dropout, (dropout, attention_dropout, residual_dropout)))

    def common_spec(self, inputs: Mapping[str, InputSpec]) -> InputSpec:
        """Return tokens of the width; their number is each dataset's own."""
        return InputSpec("tokens", (self.width,))

    def stem(self, inputs: InputSpec, common: InputSpec) -> nn.Module:
        """Return the feature tokenizer: a token a column, [CLS] first."""
        return FeatureTokenizer(inputs, self.width)

    def stages(self, common: InputSpec) -> dict[str, Callable[[], nn.Module]]:
        """Return the blocks; tokens [B, L, D], from the last one vectors [B, D]."""
        return {
            f"block{index + 1}": partial(
                Block,
                self.width,
                self.heads,
                self.hidden,
                self.dropouts,
                first=index == 0,
                last=index == self.blocks - 1,
            )
            for index in range(self.blocks)
        }


class FeatureTokenizer(nn.Module):
    """Token j of a number is x_j·w_j + b_j, of a category its vector plus b_j; a learnt [CLS] token comes first."""

    def __init__(self, spec: InputSpec, width: int) -> None:
        super().__init__()
        num_numeric = spec.shape[0] - len(spec.categories)
        self.weight = nn.Parameter(torch.empty(num_numeric, width)) if num_numeric else None
        self.embed = CategoryEmbedding(spec.categories, width) if spec.categories else None
        self.bias = nn.Parameter(torch.empty(spec.shape[0], width))
        self.cls = nn.Parameter(torch.empty(width))
        bound = width**-0.5
        for parameter in (self.weight, self.bias, self.cls):
            if parameter is not None:
                nn.init.uniform_(parameter, -bound, bound)
        if self.embed is not None:
            nn.init.uniform_(self.embed.table.weight, -bound, bound)
            with torch.no_grad():
                self.embed.table.weight[self.embed.offsets] = 0.0

    def forward(self, values: Mapping[str, Tensor] | Tensor) -> Tensor:
        """Return tokens [B, 1 + N + M, D] of `numeric` [B, N] and `categorical` [B, M], or of vectors [B, N]."""
        numeric = values if isinstance(values, Tensor) else values["numeric"]
        parts = [] if self.weight is None else [numeric.unsqueeze(-1) * self.weight]
        if self.embed is not None and not isinstance(values, Tensor):
            parts.append(self.embed(values["categorical"]))
        tokens = torch.cat(parts, dim=1) + self.bias
        return torch.cat([self.cls.to(tokens.dtype).expand(len(tokens), 1, -1), tokens], dim=1)


class Block(nn.Module):
    """Attention and a ReGLU layer, each normalised before and added to its input; the last one keeps [CLS] alone."""

    def __init__(
        self, width: int, heads: int, hidden: int, dropouts: tuple[float, ...], *, first: bool, last: bool
    ) -> None:
        super().__init__()
        dropout, attention_dropout, residual_dropout = dropouts
        self.attention_norm = nn.Identity() if first else nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, dropout=attention_dropout, batch_first=True)
        self.ffn_norm = nn.LayerNorm(width)
        self.widen, self.narrow = nn.Linear(width, 2 * hidden), nn.Linear(hidden, width)
        self.dropout, self.residual = nn.Dropout(dropout), nn.Dropout(residual_dropout)
        self.out_norm = nn.LayerNorm(width) if last else None

    def forward(self, tokens: Tensor) -> Tensor:
        """Return tokens [B, L, D], or vectors [B, D] from the last block."""
        normed = self.attention_norm(tokens)
        if self.out_norm is not None:
            tokens = tokens[:, :1]
        query = normed[:, : tokens.shape[1]]
        tokens = tokens + self.residual(self.attention(query, normed, normed, need_weights=False)[0])
        value, gate = self.widen(self.ffn_norm(tokens)).chunk(2, dim=-1)
        tokens = tokens + self.residual(self.narrow(self.dropout(value * F.relu(gate))))
        return tokens if self.out_norm is None else F.relu(self.out_norm(tokens[:, 0]))
