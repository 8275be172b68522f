"""Beam search against all sequences of a tiny vocabulary, scored one by one."""

import itertools

import pytest
import torch
from torch import Tensor

from mtl_cli.layers.beam_search import Search, State

PAD, UNKNOWN, END, PIECES, LONGEST, ROWS = 0, 1, 2, 5, 4, 6
TABLES = torch.randn(ROWS, LONGEST, PIECES, PIECES, generator=torch.Generator().manual_seed(3)) * 1.5


def step(last: Tensor, place: int, state: State) -> tuple[Tensor, State]:
    """The next piece depends on the row, the place, the piece before, and how often piece 3 was written."""
    seen = state["threes"] + (last == 3)
    logits = TABLES[state["row"], place, last] + 0.3 * seen.unsqueeze(1)
    logits[:, 4] += 0.7 * seen
    return logits.log_softmax(dim=1), {**state, "threes": seen}


def start() -> State:
    return {"row": torch.arange(ROWS), "threes": torch.zeros(ROWS)}


def total(row: int, sequence: tuple[int, ...]) -> float:
    """Sum of log-probabilities of one sequence."""
    state: State = {"row": torch.tensor([row]), "threes": torch.zeros(1)}
    last, found = END, 0.0
    for place, piece in enumerate(sequence):
        logs, state = step(torch.tensor([last]), place, state)
        found, last = found + float(logs[0, piece]), piece
    return found


def every_sequence() -> list[tuple[int, ...]]:
    """All sequences of pieces that may be written: they end at the first end, or have the greatest length."""
    allowed = [piece for piece in range(PIECES) if piece not in (PAD, UNKNOWN, END)]
    ended = [(*part, END) for k in range(LONGEST) for part in itertools.product(allowed, repeat=k)]
    return ended + list(itertools.product(allowed, repeat=LONGEST))


@pytest.mark.parametrize("penalty", [0.0, 0.6, 1.0, 2.0])
def test_a_wide_beam_finds_the_best_of_all_sequences(penalty):
    pieces, sums = Search(64, penalty, LONGEST, END, PAD, (PAD, UNKNOWN))(step, start())
    for row in range(ROWS):
        scores = {each: total(row, each) / len(each) ** penalty for each in every_sequence()}
        best = max(scores, key=scores.__getitem__)
        assert tuple(pieces[row].tolist()) == best + (PAD,) * (LONGEST - len(best))
        assert float(sums[row]) == pytest.approx(total(row, best), abs=1e-5)


def test_a_beam_of_one_takes_the_best_piece_each_time():
    pieces, sums = Search(1, 1.0, LONGEST, END, PAD, (PAD, UNKNOWN))(step, start())
    for row in range(ROWS):
        state: State = {"row": torch.tensor([row]), "threes": torch.zeros(1)}
        last, written = END, []
        while len(written) < LONGEST and END not in written:
            logs, state = step(torch.tensor([last]), len(written), state)
            logs[0, [PAD, UNKNOWN]] = -torch.inf
            last = int(logs.argmax())
            written.append(last)
        assert pieces[row, : len(written)].tolist() == written
        assert (pieces[row, len(written) :] == PAD).all()
        assert float(sums[row]) == pytest.approx(total(row, tuple(written)), abs=1e-5)


def test_wider_beams_find_better_sums_on_average_and_some_that_greed_misses():
    found = {beam: Search(beam, 0.0, LONGEST, END, PAD, (PAD, UNKNOWN))(step, start())[1] for beam in (1, 3, 64)}
    assert (found[64] >= found[3] - 1e-6).all()
    assert (found[64] > found[1] + 1e-3).any()


def test_a_row_is_written_the_same_in_any_company():
    search = Search(3, 1.0, LONGEST, END, PAD, (PAD, UNKNOWN))
    whole, _ = search(step, start())
    for row in range(ROWS):
        alone, _ = search(step, {"row": torch.tensor([row]), "threes": torch.zeros(1)})
        assert torch.equal(alone[0], whole[row])
