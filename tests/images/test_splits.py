import numpy as np
import torch

from mtl_cli.images.splits import Rows, hold_out, largest_remainders, stratified

LABELS = torch.from_numpy(np.random.RandomState(5).choice(7, size=997, p=[0.4, 0.3, 0.1, 0.1, 0.05, 0.03, 0.02]))


def test_parts_cover_every_row_once_and_have_their_sizes():
    parts = stratified(LABELS, [100, 53], seed=3)
    assert [len(part) for part in parts] == [844, 100, 53]
    assert sorted(torch.cat(parts).tolist()) == list(range(997))


def test_each_part_has_the_classes_in_proportion_to_within_one_row():
    counts = LABELS.bincount(minlength=7)
    for part, size in zip(stratified(LABELS, [100, 53], seed=3)[1:], (100, 53), strict=True):
        assert (LABELS[part].bincount(minlength=7) - counts * size / 997).abs().max() < 1


def test_a_split_depends_on_its_seed_alone():
    first, again, other = (stratified(LABELS, [100], seed=seed)[1] for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    torch.manual_seed(0)
    np.random.seed(1)
    assert torch.equal(stratified(LABELS, [100], seed=3)[1], first)


def test_quotas_are_those_of_the_largest_remainders():
    # 7/10 of 4, 2 and 4 rows is 2.8, 1.4 and 2.8: whole parts 2, 1, 2, and the two rows left go to the two 0.8
    assert largest_remainders(np.array([4, 2, 4]), 7).tolist() == [3, 1, 3]
    assert largest_remainders(np.array([1, 1, 1]), 1).tolist() == [1, 0, 0]  # a tie goes to the first class


def test_a_tenth_is_held_out_and_at_least_one_row():
    rows = Rows(torch.arange(100, dtype=torch.uint8).reshape(100, 1, 1, 1), torch.arange(100) % 5)
    train, val = hold_out(rows, seed=0)
    assert (len(train.labels), len(val.labels)) == (90, 10)
    assert val.labels.bincount().tolist() == [2, 2, 2, 2, 2]
    assert sorted(torch.cat([train.images, val.images]).flatten().tolist()) == list(range(100))
    assert all(label == pixel % 5 for label, pixel in zip(val.labels, val.images.flatten(), strict=True))
    assert len(hold_out(rows.take(torch.tensor([0, 1])), seed=0)[1].labels) == 1
