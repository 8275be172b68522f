import numpy as np
import pytest
import torch

from tests.weightings._inputs import TinyStep, make, net, task_names


class Scripted:
    """A step whose losses after the update are given."""

    def __init__(self, tasks, after):
        self.tasks, self.after = tasks, after

    def losses_now(self):
        return dict(zip(self.tasks, self.after, strict=True))


@pytest.mark.parametrize("num_tasks", [2, 5, 12])
def test_equals_algorithm_1_with_torch_s_adam(num_tasks):
    weighting, tasks = make("famo", num_tasks), task_names(num_tasks)
    logits = torch.zeros(num_tasks, dtype=torch.float64, requires_grad=True)
    adam = torch.optim.Adam([logits], lr=0.025, weight_decay=0.001)
    stream = torch.Generator().manual_seed(0)
    for _ in range(6):
        before, after = torch.rand(2, num_tasks, dtype=torch.float64, generator=stream) + 0.5
        z = torch.softmax(logits, dim=0)
        wanted = ((z * (before + 1e-8).log()).sum() / (z / (before + 1e-8)).sum()).item()
        assert abs(weighting(before, torch.arange(num_tasks)).item() - wanted) < 1e-5
        falls = (before + 1e-8).log() - (after + 1e-8).log()
        (logits.grad,) = torch.autograd.grad(torch.softmax(logits, dim=0), logits, falls)
        adam.step()
        weighting.observe(before.float(), torch.arange(num_tasks))
        weighting.after_step(Scripted(tasks, after.float()))
        assert np.allclose(weighting.logits.numpy(), logits.detach().numpy(), atol=1e-5)


def test_a_still_model_moves_no_logits():
    weighting, step = make("famo", 3, gamma=0.0), TinyStep(net(3), task_names(3))
    weighting.backward(step)
    weighting.after_step(step)
    assert weighting.logits.abs().max() == 0
