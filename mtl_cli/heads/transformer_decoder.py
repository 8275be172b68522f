"""A transformer that writes a text piece by piece."""

import math

import torch
from torch import Tensor, nn

from mtl_cli.features import FeatureSpec
from mtl_cli.heads.decoder_base import DecoderHead, PieceWriter
from mtl_cli.layers.beam_search import State
from mtl_cli.layers.decoder import DecoderLayer
from mtl_cli.layers.text import sinusoids


class TransformerDecoder(DecoderHead):
    """Layers of attention to what was written and to the features: the right half of the transformer.

    Source: Vaswani et al., "Attention is all you need", NIPS 2017.

    Args:
        num_layers, dropout, beam, length_penalty, copy: as of every `DecoderHead`.
        width: D of the layers, even and a multiple of num_heads; None is that of the features.
        num_heads: heads of attention.
        hidden_factor: width of the feed-forward layers, as a multiple of D.
    """

    def __init__(
        self,
        num_layers: int = 2,
        dropout: float = 0.1,
        beam: int = 1,
        length_penalty: float = 1.0,
        copy: bool = False,
        width: int | None = None,
        num_heads: int = 4,
        hidden_factor: int = 4,
    ) -> None:
        super().__init__(num_layers, dropout, beam, length_penalty, copy)
        if num_heads < 1 or hidden_factor < 1:
            raise ValueError(f"head.num_heads is {num_heads} and hidden_factor {hidden_factor}; both are 1 or more.")
        self.width, self.num_heads, self.hidden_factor = width, num_heads, hidden_factor

    def build(self, spec: FeatureSpec, num_outputs: int) -> nn.Module:
        """Return a module that writes pieces of `num_outputs` kinds."""
        width = self.width or spec.width
        if width % self.num_heads or width % 2 or width < 2:
            step = math.lcm(self.num_heads, 2)
            raise ValueError(
                f"head.width is {width}; it is even and a multiple of head.num_heads={self.num_heads}. "
                f"Use for example head.width={step * max(1, width // step)}."
            )
        return TransformerWriter(spec.width, width, num_outputs, self)


class TransformerWriter(PieceWriter):
    """A stack of decoder layers on the vectors of pieces, with sinusoids of their places."""

    def __init__(self, memory: int, width: int, num_pieces: int, how: TransformerDecoder) -> None:
        super().__init__(memory, width, num_pieces, how)
        self.layers = nn.ModuleList(
            DecoderLayer(width, memory, how.num_heads, how.hidden_factor * width, how.dropout)
            for _ in range(how.num_layers)
        )
        self.norm, self.dropout = nn.LayerNorm(width), nn.Dropout(how.dropout)

    def vectors(self, pieces: Tensor, first: int = 0) -> Tensor:
        """Return vectors [B, L, D] of pieces [B, L], the first of which is at the place `first`."""
        x = self.table(pieces) * self.table.embedding_dim**0.5
        return self.dropout(x + sinusoids(first + pieces.shape[1], x.shape[2], x)[first:])

    def hidden(self, before: Tensor, memory: Tensor, mask: Tensor | None) -> Tensor:
        """Return hidden values [B, L, D]."""
        x = self.vectors(before)
        for layer in self.layers:
            x = layer(x, memory, mask)
        return self.norm(x)

    def looks(self, before: Tensor, memory: Tensor, mask: Tensor | None) -> Tensor:
        """Return the shares of attention [B, L, L'], their mean over layers and heads."""
        x, found = self.vectors(before), []
        for layer in self.layers:
            assert isinstance(layer, DecoderLayer)
            found.append(layer.looks(x, memory, mask))
            x = layer(x, memory, mask)
        return torch.stack(found).mean(dim=0)

    def start(self, memory: Tensor, mask: Tensor | None) -> State:
        """Return keys and values of the features for every layer."""
        state = {} if mask is None else {"mask": mask}
        for number, layer in enumerate(self.layers):
            assert isinstance(layer, DecoderLayer)
            state |= {f"{number} {name}": value for name, value in layer.start(memory).items()}
        return state

    def next(self, last: Tensor, place: int, state: State) -> tuple[Tensor, State]:
        """Return hidden values [B, D] of the next piece."""
        x, after = self.vectors(last.unsqueeze(1), place), dict(state)
        for number, layer in enumerate(self.layers):
            assert isinstance(layer, DecoderLayer)
            own = f"{number} "
            part = {name.removeprefix(own): value for name, value in state.items() if name.startswith(own)}
            x, part = layer.step(x, state.get("mask"), part)
            after |= {own + name: value for name, value in part.items()}
        return self.norm(x)[:, 0], after
