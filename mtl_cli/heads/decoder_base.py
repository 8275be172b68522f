"""What heads that write sequences of pieces have in common: teacher forcing, and the search for the best sequence."""

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from mtl_cli.errors import UserError
from mtl_cli.features import Features, tokens
from mtl_cli.heads.base import Attending, Head, TeacherForced
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
        copy: whether pieces may be copied from the text that is read, where it is cut as its target is.
    """

    gives: ClassVar[str] = "pieces"

    def __init__(
        self,
        num_layers: int = 2,
        dropout: float = 0.1,
        beam: int = 1,
        length_penalty: float = 1.0,
        copy: bool = False,
    ) -> None:
        for name, value in (("num_layers", num_layers), ("beam", beam)):
            if value < 1:
                raise ValueError(f"head.{name} is {value}; it is 1 or more. Use for example head.{name}=2.")
        if not (math.isfinite(length_penalty) and length_penalty >= 0):
            raise ValueError(f"head.length_penalty is {length_penalty}; it is 0 or more. Use head.length_penalty=1.")
        self.num_layers, self.dropout = num_layers, checked_dropout(dropout)
        self.beam, self.length_penalty, self.copy = beam, length_penalty, copy


class PieceWriter(TeacherForced, Attending):
    """A module that writes pieces; the vectors of pieces are also the weights of the output.

    `forward` gives `logits` [B, L, V] for each piece of the target; `generate` gives `pieces` int64 [B, longest],
    filled up after the end, and `log_probability` [B], their sum over pieces.

    Source: Press and Wolf, "Using the output embedding to improve language models", EACL 2017; copying: `Copying`.
    """

    longest: int = 32
    """Pieces that are written at most; the task sets it."""

    def __init__(self, memory: int, width: int, num_pieces: int, how: DecoderHead) -> None:
        super().__init__()
        self.table, self.bias = nn.Embedding(num_pieces, width), nn.Parameter(torch.zeros(num_pieces))
        nn.init.normal_(self.table.weight, std=width**-0.5)
        self.beam, self.length_penalty = how.beam, how.length_penalty
        self.copying = Copying(memory, width) if how.copy else None
        self.copies = how.copy

    @abstractmethod
    def hidden(self, before: Tensor, memory: Tensor, mask: Tensor | None) -> Tensor:
        """Return the hidden values [B, L, D] that all pieces are predicted from, given those before them [B, L]."""

    @abstractmethod
    def looks(self, before: Tensor, memory: Tensor, mask: Tensor | None) -> Tensor:
        """Return the shares of attention [B, L, L'] to the features, of all pieces, given those before them [B, L]."""

    @abstractmethod
    def start(self, memory: Tensor, mask: Tensor | None) -> State:
        """Return the state before anything is written, from the features [B, L, D]."""

    @abstractmethod
    def next(self, last: Tensor, place: int, state: State) -> tuple[Tensor, State]:
        """Return the hidden values [B, D] that the next piece is predicted from, given the last one [B]."""

    def logits(self, hidden: Tensor, before: Tensor, source: "Source | None") -> Tensor:
        """Return the logits [B, L, V] of hidden values [B, L, D] after the pieces `before` them [B, L].

        With a source to copy from they are log-probabilities.
        """
        own = nn.functional.linear(hidden, self.table.weight, self.bias)
        return own if self.copying is None or source is None else self.copying(hidden, before, own, source)

    def forward(self, features: Features, target: Tensor | None) -> Mapping[str, Tensor]:
        """Return the logits of every piece of the target [B, L]."""
        memory = tokens(features)
        if target is None:
            target = torch.full((len(memory), 2), END, device=memory.device)
        before = self.before(target)
        return {"logits": self.logits(self.hidden(before, memory, features.mask), before, self.source(features))}

    def before(self, target: Tensor) -> Tensor:
        """Return the piece that stands before each of a target [B, L]."""
        return nn.functional.pad(self.known(target[:, :-1]), (1, 0), value=END)

    def attention(self, features: Features, written: Tensor) -> dict[str, Tensor]:
        """Return where attention lies, and where copying is possible the probability of a copy of each piece."""
        before, memory, source = self.before(written), tokens(features), self.source(features)
        found = {"attention": self.looks(before, memory, features.mask)}
        if self.copying is not None and source is not None:
            hidden = self.hidden(before, memory, features.mask)
            copied = torch.sigmoid(-self.copying.gate(hidden).float())
            found["copied"] = copied * self.copying.points(hidden, before, source)
        return found

    def source(self, features: Features) -> "Source | None":
        """Return what can be copied; None where nothing is."""
        if self.copying is None:
            return None
        pieces, memory = features.pieces, tokens(features)
        if pieces is None or pieces.shape != memory.shape[:2]:
            raise UserError(
                f"head.copy is true, but the backbone gives {memory.shape[1]} features of a text where it read "
                f"{0 if pieces is None else pieces.shape[1]} pieces. Use another backbone, such as backbone=gru, or "
                "head.copy=false."
            )
        mask = torch.ones_like(pieces, dtype=torch.bool) if features.mask is None else features.mask
        return Source(pieces, self.copying.key(memory), mask)

    def known(self, target: Tensor) -> Tensor:
        """Return numbers of pieces: what has none is unknown, and what is not there is filled up."""
        num_pieces = self.table.num_embeddings
        return torch.where(target >= num_pieces, UNKNOWN, torch.where(target < 0, PAD, target))

    def generate(self, features: Features) -> Mapping[str, Tensor]:
        """Return the pieces that are found without a target."""
        search = Search(self.beam, self.length_penalty, self.longest, END, PAD, never=(PAD, UNKNOWN))
        source = self.source(features)

        def step(last: Tensor, place: int, state: State) -> tuple[Tensor, State]:
            hidden, after = self.next(last, place, state)
            there = None if source is None else Source(*(state[name] for name in SOURCE))
            logits = self.logits(hidden.unsqueeze(1), last.unsqueeze(1), there)[:, 0]
            return logits.float().log_softmax(dim=-1), after

        state = self.start(tokens(features), features.mask)
        if source is not None:
            state |= dict(zip(SOURCE, (source.pieces, source.keys, source.mask), strict=True))
        pieces, total = search(step, state)
        return {"pieces": pieces, "log_probability": total}


NEXT = 3.0
"""What a place adds to attention, at first, that comes after the piece written last."""
SOURCE = ("source pieces", "source keys", "source mask")


@dataclass(frozen=True)
class Source:
    """The text to copy from: its pieces [B, S], how they are found [B, S, D], and where there are some [B, S]."""

    pieces: Tensor
    keys: Tensor
    mask: Tensor


class Copying(nn.Module):
    """Mixes the probabilities of pieces with those of copying one of the text, which attention points at.

    Source: See, Liu and Manning, "Get to the point: summarization with pointer-generator networks", ACL 2017,
    equations 8 and 9. Differs from it in attention of its own, scaled dot products, to which a place adds that comes
    after the same piece as the one that was written last. So a copy goes on where it is, from the first steps on.
    """

    def __init__(self, memory: int, width: int) -> None:
        super().__init__()
        self.query, self.key, self.gate = nn.Linear(width, width), nn.Linear(memory, width), nn.Linear(width, 1)
        self.next = nn.Parameter(torch.tensor(NEXT))

    def forward(self, hidden: Tensor, before: Tensor, logits: Tensor, source: Source) -> Tensor:
        """Return log-probabilities [B, L, V], given hidden values [B, L, D], the pieces before them and logits."""
        points = self.points(hidden, before, source)
        copied = torch.zeros_like(logits, dtype=torch.float32)
        copied = copied.scatter_add(2, source.pieces.unsqueeze(1).expand(-1, points.shape[1], -1), points)
        gate = self.gate(hidden).float()
        own = nn.functional.logsigmoid(gate) + logits.float().log_softmax(dim=-1)
        return torch.logaddexp(own, nn.functional.logsigmoid(-gate) + copied.clamp(min=1e-12).log())

    def points(self, hidden: Tensor, before: Tensor, source: Source) -> Tensor:
        """Return the shares of attention [B, L, S] to the pieces that can be copied."""
        scores = self.query(hidden) @ source.keys.transpose(1, 2) / hidden.shape[-1] ** 0.5
        previous = nn.functional.pad(source.pieces[:, :-1], (1, 0), value=END)
        scores = scores + self.next * (previous.unsqueeze(1) == before.unsqueeze(2))
        return scores.float().masked_fill(~source.mask.unsqueeze(1), -torch.inf).softmax(dim=-1)
