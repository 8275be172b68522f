"""Texts as bags of n-grams of their pieces."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FACTOR = 0x9E3779B97F4A7C15 - (1 << 64)
"""An odd number near 2⁶⁴ divided by the golden ratio, as int64: multiplying by it mixes bits (Knuth, TAOCP 6.4)."""


class BagOfNGrams(nn.Module):
    """The sum of the vectors of a text's pieces and of its runs of 2 to `longest` pieces, over √number: [B, D].

    Source: Joulin et al., "Bag of tricks for efficient text classification", EACL 2017, section 2: a run has the vector
    of the bucket that its hash falls into, so that no run need be known beforehand. Differs from it in the root: a text
    of many different pieces keeps its length, as rows of TF-IDF do, while the vectors of a mean become shorter.

    Args:
        size: number of pieces.
        width: D.
        longest: pieces of the longest runs; 1 leaves runs out.
        buckets: vectors that runs share.
    """

    def __init__(self, size: int, width: int, longest: int, buckets: int) -> None:
        super().__init__()
        self.size, self.longest, self.buckets = size, longest, buckets
        self.table = nn.Embedding(size + (buckets if longest > 1 else 0), width)
        nn.init.normal_(self.table.weight, std=0.1)

    def forward(self, values: Mapping[str, Tensor]) -> Tensor:
        """Return vectors [B, D] of `ids` [B, L] under their `mask` [B, L]."""
        places, there = self.places(values["ids"], values["mask"])
        weights = there.to(self.table.weight.dtype)
        weights = weights * weights.sum(dim=1, keepdim=True).clamp(min=1.0).rsqrt()
        return F.embedding_bag(places, self.table.weight, mode="sum", per_sample_weights=weights)

    def places(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the rows of the table of all pieces and runs int64 [B, M], and which of them are there [B, M]."""
        places, there = [ids], [mask]
        keys, whole = ids, mask
        for length in range(2, min(self.longest, ids.shape[1]) + 1):
            keys = (keys[:, :-1] * FACTOR) ^ (ids[:, length - 1 :] + 1)
            whole = whole[:, :-1] & mask[:, length - 1 :]
            mixed = keys * FACTOR
            places.append(self.size + ((mixed >> 32) ^ mixed).remainder(self.buckets))
            there.append(whole)
        return torch.cat(places, dim=1), torch.cat(there, dim=1)


class BagBesideTable(nn.Module):
    """The sum of a text's vector and that of its row's table columns, [B, D]."""

    def __init__(self, text: nn.Module, columns: nn.Module) -> None:
        super().__init__()
        self.text, self.columns = text, columns

    def forward(self, values: Mapping[str, Tensor]) -> Tensor:
        """Return vectors [B, D]."""
        return self.text(values) + self.columns(values)
