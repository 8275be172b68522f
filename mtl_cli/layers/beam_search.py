"""Writes sequences piece by piece: the best piece each time, or a beam of the best beginnings."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

State = dict[str, Tensor]
"""What a decoder remembers of what was written, each [B, ...]."""
Step = Callable[[Tensor, int, State], tuple[Tensor, State]]
"""From the pieces written last int64 [B], their place from 0, and the state, to log-probabilities [B, V] and state."""


@dataclass(frozen=True)
class Search:
    """How a sequence is searched for.

    Args:
        beam: beginnings that are kept of each row; 1 takes the best piece each time.
        length_penalty: exponent α of the length by which a sum of log-probabilities is divided; 0 prefers short ones.
        longest: pieces that are written at most, the end included.
        end: number of the piece that ends a sequence; it also stands before the first one.
        pad: number that fills up what follows the end.
        never: numbers of pieces that are never written.
    """

    beam: int
    length_penalty: float
    longest: int
    end: int
    pad: int
    never: tuple[int, ...] = ()

    def __call__(self, step: Step, state: State) -> tuple[Tensor, Tensor]:
        """Return the best sequences int64 [B, longest] of B rows, and their sums of log-probabilities [B].

        Of each row the beam holds the beginnings with the highest Σ log p / length^α, finished ones among them. It ends
        where all are finished.
        """
        beam, first = self.beam, next(iter(state.values()))
        rows, device = len(first), first.device
        state = {name: value.repeat_interleave(beam, dim=0) for name, value in state.items()}
        written = torch.full((rows, beam, self.longest), self.pad, dtype=torch.int64, device=device)
        sums = torch.full((rows, beam), -torch.inf, device=device)
        sums[:, 0] = 0.0  # at first all beginnings of a row are the same
        lengths = torch.zeros(rows, beam, dtype=torch.int64, device=device)
        done = torch.zeros(rows, beam, dtype=torch.bool, device=device)
        last = torch.full((rows * beam,), self.end, dtype=torch.int64, device=device)
        for place in range(self.longest):
            logs, state = step(last, place, state)
            logs = logs.float().clone()
            if self.never:
                logs[:, list(self.never)] = -torch.inf
            longer = self._ended(sums.unsqueeze(2) + logs.unflatten(0, (rows, beam)), sums, done)  # [B, K, V]
            grown = lengths + ~done
            ranks = longer / grown.unsqueeze(2).float() ** self.length_penalty
            chosen = ranks.flatten(1).topk(beam, dim=1).indices  # [B, K]
            source, piece = chosen // longer.shape[2], chosen % longer.shape[2]
            sums = longer.flatten(1).gather(1, chosen)
            lengths, finished = grown.gather(1, source), done.gather(1, source)
            written = written.gather(1, source.unsqueeze(2).expand(-1, -1, self.longest))
            written[:, :, place] = torch.where(finished, self.pad, piece)
            done = finished | (piece == self.end)
            if beam > 1:
                index = (source + torch.arange(rows, device=device).unsqueeze(1) * beam).flatten()
                state = {name: value.index_select(0, index) for name, value in state.items()}
            last = piece.flatten()
            if bool(done.all()):
                break
        best = (sums / lengths.float() ** self.length_penalty).argmax(dim=1)
        at = torch.arange(rows, device=device)
        return written[at, best], sums[at, best]

    def _ended(self, longer: Tensor, sums: Tensor, done: Tensor) -> Tensor:
        """Return sums [B, K, V] in which a finished beginning goes on with its end alone, at no cost."""
        kept = torch.full_like(longer, -torch.inf)
        kept[:, :, self.end] = sums
        return torch.where(done.unsqueeze(2), kept, longer)
