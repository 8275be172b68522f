import itertools

import torch

from mtl_cli.layers.ngrams import BagOfNGrams
from tests.sharing._inputs import texts

SIZE, BUCKETS = 20, 101


def bag(longest, buckets=BUCKETS):
    return BagOfNGrams(SIZE, 4, longest, buckets)


def test_it_equals_the_sum_of_the_vectors_of_pieces_and_runs_over_the_root_of_their_number():
    torch.manual_seed(0)
    layer, values = bag(3), texts(6)
    bucket_of = {}  # of each run, from texts of this run alone
    for row in values["ids"].tolist():
        real = [piece for piece in row if piece]
        for n in (2, 3):
            for start in range(len(real) - n + 1):
                run = tuple(real[start : start + n])
                ids = torch.tensor([run])
                bucket_of[run] = int(layer.places(ids, ids > 0)[0][0, -1])
    expected = []
    for row in values["ids"].tolist():
        real = [piece for piece in row if piece]
        runs = [tuple(real[start : start + n]) for n in (2, 3) for start in range(len(real) - n + 1)]
        rows = [*real, *(bucket_of[run] for run in runs)]
        expected.append(layer.table.weight[rows].sum(dim=0) / len(rows) ** 0.5)
    torch.testing.assert_close(layer(values), torch.stack(expected))


def test_padding_changes_nothing_and_has_no_gradient():
    layer = bag(2)
    ids = torch.tensor([[3, 4, 5], [6, 7, 0]])
    wider = torch.nn.functional.pad(ids, (0, 4))
    out = layer({"ids": ids, "mask": ids > 0})
    torch.testing.assert_close(layer({"ids": wider, "mask": wider > 0}), out)
    layer({"ids": wider, "mask": wider > 0}).sum().backward()
    assert layer.table.weight.grad[0].abs().max() == 0.0
    touched = layer.table.weight.grad.abs().sum(dim=1).nonzero().flatten().tolist()
    assert len(touched) <= 5 + 3
    assert {3, 4, 5, 6, 7} <= set(touched)


def test_runs_fall_into_all_buckets_about_equally_often():
    pairs = torch.tensor(list(itertools.product(range(1, 101), repeat=2)))
    places, there = bag(2, buckets=64).places(pairs, pairs > 0)
    counts = torch.bincount(places[:, 2] - SIZE, minlength=64)
    assert there.all()
    assert len(counts) == 64
    mean = 10_000 / 64
    assert (counts - mean).square().sum() / mean < 110, "χ² of 63 degrees of freedom; 0.02 % of random ones are above"


def test_the_order_of_pieces_counts_in_runs_only():
    ids = torch.tensor([[3, 4, 5], [5, 4, 3]])
    one, two = (bag(longest)({"ids": ids, "mask": ids > 0}) for longest in (1, 2))
    torch.testing.assert_close(one[0], one[1])
    assert (two[0] - two[1]).abs().max() > 1e-3


def test_a_text_of_one_piece_has_no_runs():
    ids = torch.tensor([[3]])
    layer = bag(3)
    torch.testing.assert_close(layer({"ids": ids, "mask": ids > 0})[0], layer.table.weight[3])
