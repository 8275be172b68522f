"""The search for texts under CTC, against all paths written out."""

import itertools
import math
from collections import defaultdict

import pytest
import torch

from mtl_cli.layers.ctc_search import best_path, collapsed, padded_pieces, prefix_search


def logs_of(seed, frames=4, pieces=3):
    stream = torch.Generator().manual_seed(seed)
    return (2 * torch.randn(1, frames, pieces, generator=stream)).log_softmax(dim=-1)


def by_text(logs):
    """The probability of every text, summed over its paths; logs [L, V]."""
    found = defaultdict(float)
    for path in itertools.product(range(logs.shape[1]), repeat=len(logs)):
        found[tuple(collapsed(path))] += math.exp(sum(float(logs[k, piece]) for k, piece in enumerate(path)))
    return found


@pytest.mark.parametrize("seed", range(20))
def test_a_wide_search_finds_the_most_likely_text(seed):
    logs = logs_of(seed)
    every = by_text(logs[0])
    best = max(every, key=every.__getitem__)
    (pieces,), (score,) = prefix_search(logs, [4], 100)
    assert tuple(pieces) == best
    assert math.exp(score) == pytest.approx(every[best], rel=1e-2)  # pieces below 1e-4 are not looked at


@pytest.mark.parametrize("seed", range(20))
def test_the_best_path_is_the_best_of_all(seed):
    logs = logs_of(seed)
    paths = list(itertools.product(range(3), repeat=4))
    best = max(paths, key=lambda path: sum(float(logs[0, k, piece]) for k, piece in enumerate(path)))
    (pieces,), (score,) = best_path(logs, [4])
    assert pieces == collapsed(best)
    assert score == pytest.approx(sum(float(logs[0, k, piece]) for k, piece in enumerate(best)), abs=1e-5)


def test_the_text_of_most_paths_may_differ_from_the_best_path():
    chances = torch.tensor([[[0.6, 0.4], [0.6, 0.4]]])  # blank blank is .36; a in any way is .64
    assert best_path(chances.log(), [2])[0] == [[]]
    (pieces,), (score,) = prefix_search(chances.log(), [2], 4)
    assert pieces == [1]
    assert math.exp(score) == pytest.approx(0.64)


def test_repeats_are_joined_unless_a_blank_parts_them():
    assert collapsed([1, 1, 0, 1, 2, 2, 0]) == [1, 1, 2]
    assert collapsed([0, 0]) == []


def test_frames_beyond_a_rows_length_are_not_read():
    logs = logs_of(0, frames=6)
    assert prefix_search(logs, [3], 50) == prefix_search(logs[:, :3], [3], 50)
    assert best_path(logs, [3]) == best_path(logs[:, :3], [3])


def test_rows_are_filled_up():
    assert padded_pieces([[3, 4], [], [5]], torch.device("cpu")).tolist() == [[3, 4], [0, 0], [5, 0]]
    assert padded_pieces([[]], torch.device("cpu")).tolist() == [[0]]
