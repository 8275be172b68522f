import math

import pytest
import torch
from sklearn.metrics import ndcg_score
from torchmetrics.retrieval import RetrievalNormalizedDCG

from mtl_cli.metrics.ndcg import GroupNDCG


def measured(predictions, relevance, group, k):
    metric = GroupNDCG(k)
    target = torch.stack([relevance.float(), group.float()], dim=1)
    for part, truth in zip(predictions.split(9), target.split(9), strict=True):
        metric.update(part, truth)
    return float(metric.compute())


def test_by_hand():
    """Group 5: relevant rows at ranks 1 and 3 of 3: (1 + 1/2) / (1 + 1/log₂3); group 2: one relevant row at rank 2."""
    predictions = torch.tensor([0.9, 0.5, 0.1, 0.8, 0.2])
    relevance, group = torch.tensor([1, 0, 1, 0, 1]), torch.tensor([5, 5, 5, 2, 2])
    expected = ((1 + 0.5) / (1 + 1 / math.log2(3)) + 1 / math.log2(3)) / 2
    assert measured(predictions, relevance, group, 3) == pytest.approx(expected)


@pytest.mark.parametrize("k", [1, 3, 100])
def test_it_equals_torchmetrics_and_scikit_learn_by_group(k):
    group = torch.randint(12, (150,))
    relevance, predictions = torch.randint(2, (150,)), torch.randint(6, (150,)) / 6
    reference = RetrievalNormalizedDCG(empty_target_action="skip", top_k=k)
    reference.update(predictions, relevance, indexes=group)
    value = measured(predictions, relevance, group, k)
    assert value == pytest.approx(float(reference.compute()), abs=1e-5)
    rows = [group == each for each in group.unique() if relevance[group == each].any()]
    single = [ndcg_score(relevance[None, row], predictions[None, row], k=k) for row in rows]
    assert value == pytest.approx(sum(single) / len(single), abs=1e-5)


def test_the_order_of_rows_and_the_numbers_of_groups_do_not_matter():
    group, relevance, predictions = torch.randint(5, (60,)), torch.rand(60), torch.rand(60).round(decimals=1)
    value = measured(predictions, relevance, group, 4)
    shuffled = torch.randperm(60)
    again = measured(predictions[shuffled], relevance[shuffled], 1000 - 7 * group[shuffled], 4)
    assert again == pytest.approx(value, rel=1e-9)


def test_groups_without_a_relevant_row_are_left_out():
    assert measured(torch.rand(4), torch.tensor([0, 0, 1, 0]), torch.tensor([1, 1, 2, 3]), 2) == 1.0
    assert math.isnan(measured(torch.rand(2), torch.zeros(2), torch.zeros(2), 2))
