"""A recurrent network with attention that writes a text piece by piece."""

import torch
from torch import Tensor, nn

from mtl_cli.features import Features, FeatureSpec, pool
from mtl_cli.heads.decoder_base import DecoderHead, PieceWriter
from mtl_cli.layers.beam_search import State


class GRUDecoder(DecoderHead):
    """A GRU on what was written, which looks at the features by attention before each piece.

    Source: Luong et al., "Effective approaches to attention-based neural machine translation", EMNLP 2015, section 3.1
    ("general" scores). Differs from it in a GRU, and in that attention is not fed back, so that training reads whole
    texts at once.

    Args:
        num_layers, dropout, beam, length_penalty, copy: as of every `DecoderHead`.
        width: D of the network; None is that of the features.
    """

    def __init__(
        self,
        num_layers: int = 1,
        dropout: float = 0.1,
        beam: int = 1,
        length_penalty: float = 1.0,
        copy: bool = False,
        width: int | None = None,
    ) -> None:
        super().__init__(num_layers, dropout, beam, length_penalty, copy)
        if width is not None and width < 1:
            raise ValueError(f"head.width is {width}; it is 1 or more, or null for that of the features.")
        self.width = width

    def build(self, spec: FeatureSpec, num_outputs: int) -> nn.Module:
        """Return a module that writes pieces of `num_outputs` kinds."""
        return GRUWriter(spec.width, self.width or spec.width, num_outputs, self)


class GRUWriter(PieceWriter):
    """A GRU, and attention from its hidden values to the features."""

    def __init__(self, memory: int, width: int, num_pieces: int, how: GRUDecoder) -> None:
        super().__init__(memory, width, num_pieces, how)
        between = how.dropout if how.num_layers > 1 else 0.0
        self.gru = nn.GRU(width, width, how.num_layers, batch_first=True, dropout=between)
        self.first = nn.Linear(memory, how.num_layers * width)
        self.score, self.mix = nn.Linear(memory, width, bias=False), nn.Linear(memory + width, width)
        self.dropout = nn.Dropout(how.dropout)

    def hidden(self, before: Tensor, memory: Tensor, mask: Tensor | None) -> Tensor:
        """Return hidden values [B, L, D]."""
        begun = self._first(memory, mask).transpose(0, 1).contiguous()
        out, _ = self.gru(self.dropout(self._vectors(before)), begun)
        return self._look(out, memory, self.score(memory), mask)

    def looks(self, before: Tensor, memory: Tensor, mask: Tensor | None) -> Tensor:
        """Return the shares of attention [B, L, L']."""
        begun = self._first(memory, mask).transpose(0, 1).contiguous()
        return shares(self.gru(self.dropout(self._vectors(before)), begun)[0], self.score(memory), mask)

    def start(self, memory: Tensor, mask: Tensor | None) -> State:
        """Return the features, how they are compared, and the first hidden values."""
        state = {"memory": memory, "scored": self.score(memory), "hidden": self._first(memory, mask)}
        return state if mask is None else {**state, "mask": mask}

    def next(self, last: Tensor, place: int, state: State) -> tuple[Tensor, State]:
        """Return hidden values [B, D] of the next piece."""
        begun = state["hidden"].transpose(0, 1).contiguous()
        out, begun = self.gru(self.dropout(self._vectors(last.unsqueeze(1))), begun)
        found = self._look(out, state["memory"], state["scored"], state.get("mask"))
        return found[:, 0], {**state, "hidden": begun.transpose(0, 1)}

    def _vectors(self, pieces: Tensor) -> Tensor:
        return self.table(pieces) * self.table.embedding_dim**0.5

    def _first(self, memory: Tensor, mask: Tensor | None) -> Tensor:
        """Return the hidden values before the first piece [B, layers, D]."""
        return torch.tanh(self.first(pool(Features(memory, mask)))).unflatten(1, (self.gru.num_layers, -1))

    def _look(self, out: Tensor, memory: Tensor, scored: Tensor, mask: Tensor | None) -> Tensor:
        """Return hidden values [B, L, D] that know what attention finds."""
        found = shares(out, scored, mask) @ memory
        return self.dropout(torch.tanh(self.mix(torch.cat([out, found], dim=-1))))


def shares(out: Tensor, scored: Tensor, mask: Tensor | None) -> Tensor:
    """Return the shares of attention [B, L, L'] of hidden values [B, L, D] to features, scored vectors [B, L', D]."""
    scores = out @ scored.transpose(1, 2)
    if mask is not None:
        scores = scores.masked_fill(~mask.unsqueeze(1), -torch.inf)
    return scores.softmax(dim=-1)
