import pytest
import torch

from tests.weightings._inputs import make, positive_losses


@pytest.mark.parametrize("num_tasks", [2, 5, 12])
def test_equals_the_double_sum(num_tasks):
    relations = torch.randn(num_tasks, num_tasks, generator=torch.Generator().manual_seed(0)).tolist()
    weighting, losses = make("task_relation", num_tasks, relations=relations, strength=0.5), positive_losses(num_tasks)
    wanted = float(losses.sum())
    for i in range(num_tasks):
        for j in range(num_tasks):
            wanted += 0.5 * relations[i][j] * float(losses[i] * losses[j])
    assert abs(weighting(losses, torch.arange(num_tasks)).item() - wanted) < 1e-5


def test_learnt_relations_settle_at_their_optimum():
    weighting, losses = make("task_relation", 3), positive_losses(3)
    optimizer = torch.optim.Adam(weighting.parameters(), lr=0.1)
    for _ in range(500):
        optimizer.zero_grad()
        weighting(losses, torch.arange(3)).backward()
        optimizer.step()
    found = torch.softmax(weighting.logits.flatten(), dim=0)
    wanted = torch.softmax(-torch.outer(losses, losses).flatten(), dim=0)
    assert torch.allclose(found.double(), wanted, atol=1e-4)
