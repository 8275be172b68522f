import pytest
import torch

from mtl_cli.metrics import pairs_base
from mtl_cli.metrics.auc import AUC
from mtl_cli.metrics.choices_base import Choices


def listed(scores, labels, block, blocks):
    """Twice the pairs in the right order, one by one."""
    found = torch.zeros(blocks, blocks, dtype=torch.float64)
    for p in (labels == 1).nonzero()[:, 0].tolist():
        for n in (labels == 0).nonzero()[:, 0].tolist():
            found[block[p], block[n]] += 2.0 * (scores[p] > scores[n]) + 1.0 * (scores[p] == scores[n])
    return found


@pytest.mark.parametrize(("rows", "levels"), [(1, 9), (40, 4), (60, 10**6)])
@pytest.mark.parametrize("cell", [1, 4, 128])
def test_pairs_are_those_that_are_listed(monkeypatch, rows, levels, cell):
    monkeypatch.setattr(pairs_base, "CELL", cell)
    monkeypatch.setattr(pairs_base, "CELLS", 2)
    monkeypatch.setattr(pairs_base, "LISTED", 7)
    monkeypatch.setattr(pairs_base, "ROWS_AT_ONCE", 11)
    stream = torch.Generator().manual_seed(rows)
    scores = (torch.rand(rows, generator=stream) * levels).round() / levels - 0.5
    labels = torch.randint(-1, 2, (rows,), generator=stream).to(torch.int8)
    block = torch.randint(3, (rows,), generator=stream).int()
    negative, positive = (pairs_base.sorted_keys(scores, labels, block, label) for label in (0, 1))
    assert torch.equal(
        torch.from_numpy(pairs_base.right_pairs(negative, positive, 3)), listed(scores, labels, block, 3)
    )
    assert torch.equal(pairs_base.sorted_scores(scores, labels, 1), scores[labels == 1].sort().values)


def test_a_choice_of_blocks_has_the_area_of_its_rows():
    stream = torch.Generator().manual_seed(1)
    scores, labels = torch.randn(300, generator=stream), torch.randint(2, (300,), generator=stream)
    block, times = torch.randint(5, (300,), generator=stream), torch.randint(3, (7, 5), generator=stream).double()
    metric = AUC()
    rows = {"predictions": scores[:, None], "targets": labels[:, None].to(torch.int8)}
    found = metric.of_choices(rows, Choices(times, dict.fromkeys(rows, block)))
    for often, area in zip(times.int(), found, strict=True):
        copies = often[block].long()
        metric.update(scores.repeat_interleave(copies), labels.repeat_interleave(copies))
        assert metric.compute() == area
        metric.reset()
