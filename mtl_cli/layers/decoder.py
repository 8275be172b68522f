"""Layers that write a sequence: attention to what was written and to what is read."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mtl_cli.layers.beam_search import State


class Attention(nn.Module):
    """Scaled dot products of queries [B, L, D] with keys and values made of other sequences, by several heads.

    Source: Vaswani et al., "Attention is all you need", NIPS 2017, section 3.2.
    """

    def __init__(self, width: int, memory: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.num_heads, self.dropout = num_heads, dropout
        self.query, self.key = nn.Linear(width, width), nn.Linear(memory, width)
        self.value, self.out = nn.Linear(memory, width), nn.Linear(width, width)

    def heads(self, values: Tensor) -> Tensor:
        """Return values [B, L, D] by head [B, H, L, D / H]."""
        return values.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)

    def keys_and_values(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Return keys and values [B, H, L, D / H] of a sequence [B, L, D]."""
        return self.heads(self.key(memory)), self.heads(self.value(memory))

    def forward(
        self, x: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None, causal: bool = False
    ) -> Tensor:
        """Return what queries [B, L, D] find; `mask` [B, L'] is True where there is something."""
        p = self.dropout if self.training else 0.0
        seen = None if mask is None else mask[:, None, None, :]
        found = F.scaled_dot_product_attention(
            self.heads(self.query(x)), keys, values, attn_mask=seen, dropout_p=p, is_causal=causal
        )
        return self.out(found.transpose(1, 2).flatten(2))

    def shares(self, x: Tensor, keys: Tensor, mask: Tensor | None) -> Tensor:
        """Return the share of each key [B, H, L, L'] in what queries [B, L, D] find."""
        queries = self.heads(self.query(x))
        scores = queries @ keys.transpose(2, 3) / queries.shape[-1] ** 0.5
        if mask is not None:
            scores = scores.masked_fill(~mask[:, None, None, :], -torch.inf)
        return scores.softmax(dim=-1)


class DecoderLayer(nn.Module):
    """Attention to what was written, attention to what is read, and a feed-forward network.

    Source: Vaswani et al., NIPS 2017, section 3.1, the right half of figure 1. Differs from it in GELU, and in that
    each part reads normalised values instead of giving them (Xiong et al., ICML 2020), so that no warm-up is needed.
    """

    def __init__(self, width: int, memory: int, num_heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.written, self.read = (
            Attention(width, width, num_heads, dropout),
            Attention(width, memory, num_heads, dropout),
        )
        self.feed = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, width))
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(width), nn.LayerNorm(width), nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, memory: Tensor, mask: Tensor | None) -> Tensor:
        """Return values [B, L, D] of all places, each of which sees those before it and the whole memory."""
        own = self.norm1(x)
        x = x + self.dropout(self.written(own, *self.written.keys_and_values(own), causal=True))
        x = x + self.dropout(self.read(self.norm2(x), *self.read.keys_and_values(memory), mask))
        return x + self.dropout(self.feed(self.norm3(x)))

    def looks(self, x: Tensor, memory: Tensor, mask: Tensor | None) -> Tensor:
        """Return the shares of attention to the memory [B, L, L'], their mean over heads."""
        own = self.norm1(x)
        x = x + self.written(own, *self.written.keys_and_values(own), causal=True)
        return self.read.shares(self.norm2(x), self.read.keys_and_values(memory)[0], mask).mean(dim=1)

    def start(self, memory: Tensor) -> State:
        """Return what stays the same of the memory, and nothing written."""
        keys, values = self.read.keys_and_values(memory)
        none = keys[:, :, :0]
        return {"read keys": keys, "read values": values, "keys": none, "values": none}

    def step(self, x: Tensor, mask: Tensor | None, state: State) -> tuple[Tensor, State]:
        """Return values [B, 1, D] of the next place, and the state with it."""
        own = self.norm1(x)
        keys, values = self.written.keys_and_values(own)
        keys, values = torch.cat([state["keys"], keys], dim=2), torch.cat([state["values"], values], dim=2)
        x = x + self.written(own, keys, values)
        x = x + self.read(self.norm2(x), state["read keys"], state["read values"], mask)
        return x + self.feed(self.norm3(x)), {**state, "keys": keys, "values": values}
