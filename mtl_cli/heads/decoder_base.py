"""What heads that write sequences of pieces have in common: teacher forcing, and the search for the best sequence."""

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from mtl_cli.features import Features, tokens
from mtl_cli.heads.base import Head, TeacherForced
from mtl_cli.layers.beam_search import Search, State
from mtl_cli.layers.named import checked_dropout
from mtl_cli.texts.piece_tokenizer import END, PAD, UNKNOWN


class DecoderHead(Head):
    """A recipe for heads that write texts piece by piece, each from the features and the pieces before it.

    Args:
        num_layers: layers of the decoder.
        dropout: share of values that are left out in training.
        beam: beginnings that are kept when a text is searched for; 1 takes the best piece each time.
        length_penalty: exponent of the length by which log-probabilities are divided; above 1 prefers long texts.
    """

    gives: ClassVar[str] = "pieces"

    def __init__(self, num_layers: int = 2, dropout: float = 0.1, beam: int = 1, length_penalty: float = 1.0) -> None:
        for name, value in (("num_layers", num_layers), ("beam", beam)):
            if value < 1:
                raise ValueError(f"head.{name} is {value}; it is 1 or more. Use for example head.{name}=2.")
        if not (math.isfinite(length_penalty) and length_penalty >= 0):
            raise ValueError(f"head.length_penalty is {length_penalty}; it is 0 or more. Use head.length_penalty=1.")
        self.num_layers, self.dropout = num_layers, checked_dropout(dropout)
        self.beam, self.length_penalty = beam, length_penalty


class PieceWriter(TeacherForced):
    """A module that writes pieces; the vectors of pieces are also the weights of the output.

    `forward` gives `logits` [B, L, V] for each piece of the target; `generate` gives `pieces` int64 [B, longest],
    filled up after the end, and `log_probability` [B], their sum over pieces.

    Source: Press and Wolf, "Using the output embedding to improve language models", EACL 2017.
    """

    longest: int = 32
    """Pieces that are written at most; the task sets it."""

    def __init__(self, width: int, num_pieces: int, beam: int, length_penalty: float) -> None:
        super().__init__()
        self.table, self.bias = nn.Embedding(num_pieces, width), nn.Parameter(torch.zeros(num_pieces))
        nn.init.normal_(self.table.weight, std=width**-0.5)
        self.beam, self.length_penalty = beam, length_penalty

    @abstractmethod
    def hidden(self, before: Tensor, memory: Tensor, mask: Tensor | None) -> Tensor:
        """Return the hidden values [B, L, D] that all pieces are predicted from, given those before them [B, L]."""

    @abstractmethod
    def start(self, memory: Tensor, mask: Tensor | None) -> State:
        """Return the state before anything is written, from the features [B, L, D]."""

    @abstractmethod
    def next(self, last: Tensor, place: int, state: State) -> tuple[Tensor, State]:
        """Return the hidden values [B, D] that the next piece is predicted from, given the last one [B]."""

    def logits(self, hidden: Tensor) -> Tensor:
        """Return the logits [..., V] of hidden values [..., D]."""
        return nn.functional.linear(hidden, self.table.weight, self.bias)

    def forward(self, features: Features, target: Tensor | None) -> Mapping[str, Tensor]:
        """Return the logits of every piece of the target [B, L]."""
        memory = tokens(features)
        if target is None:
            target = torch.full((len(memory), 2), END, device=memory.device)
        before = nn.functional.pad(self.known(target[:, :-1]), (1, 0), value=END)
        return {"logits": self.logits(self.hidden(before, memory, features.mask))}

    def known(self, target: Tensor) -> Tensor:
        """Return numbers of pieces: what has none is unknown, and what is not there is filled up."""
        num_pieces = self.table.num_embeddings
        return torch.where(target >= num_pieces, UNKNOWN, torch.where(target < 0, PAD, target))

    def generate(self, features: Features) -> Mapping[str, Tensor]:
        """Return the pieces that are found without a target."""
        search = Search(self.beam, self.length_penalty, self.longest, END, PAD, never=(PAD, UNKNOWN))

        def step(last: Tensor, place: int, state: State) -> tuple[Tensor, State]:
            hidden, after = self.next(last, place, state)
            return self.logits(hidden).float().log_softmax(dim=-1), after

        pieces, total = search(step, self.start(tokens(features), features.mask))
        return {"pieces": pieces, "log_probability": total}
