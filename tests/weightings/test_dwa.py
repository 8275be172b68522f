import numpy as np
import pytest
import torch

from tests.weightings._inputs import make, positive_losses


@pytest.mark.parametrize("num_tasks", [2, 5, 12])
def test_equals_the_formula_over_epochs(num_tasks):
    weighting, present = make("dwa", num_tasks), torch.arange(num_tasks)
    history = []
    for epoch in range(4):
        weights = np.ones(num_tasks)
        if epoch >= 2:
            rates = np.exp(history[-1] / history[-2] / 2.0)
            weights = num_tasks * rates / rates.sum()
        seen = []
        for step in range(3):
            losses = positive_losses(num_tasks, 10 * epoch + step)
            assert abs(weighting(losses, present).item() - weights @ losses.numpy()) < 1e-5
            weighting.observe(losses, present)
            seen.append(losses.numpy())
        weighting.after_epoch()
        history.append(np.mean(seen, axis=0))


def test_a_task_without_history_counts_as_steady():
    weighting, losses = make("dwa", 3), positive_losses(3)
    for _ in range(2):
        weighting.observe(losses[:2] * 2.0, torch.tensor([0, 1]))
        weighting.after_epoch()
    assert torch.allclose(weighting(losses, torch.arange(3)), losses.sum())
