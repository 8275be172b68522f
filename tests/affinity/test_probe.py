"""Affinities by hand, and that measuring changes nothing."""

import math
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import torch

from mtl_cli.affinity.probe import AffinityProbe
from mtl_cli.weightings.fixed import Fixed
from mtl_cli.weightings.step_base import Pass
from tests.training.test_trainer import assert_equal_weights, make, steps, weights


@dataclass
class Hand:
    """A step of tasks that are functions of one shared number."""

    losses: dict
    theta: torch.nn.Parameter
    index: int = 0

    def __post_init__(self):
        self.partition = SimpleNamespace(shared=[self.theta])
        self.tasks = tuple(self.losses)

    def replay(self):
        yield Pass({task: loss(self.theta) / 2 for task, loss in self.losses.items()}, [], 0)
        yield Pass({task: loss(self.theta) / 2 for task, loss in self.losses.items()}, [], 1)

    def losses_now(self):
        with torch.no_grad():
            return {task: loss(self.theta) for task, loss in self.losses.items()}


def measured(losses, tasks=None, lr=0.1):
    theta = torch.nn.Parameter(torch.tensor(2.0))
    probe = AffinityProbe(Fixed(tasks=list(tasks or losses)), lambda: lr, every=1)
    probe.measure(Hand(losses, theta))
    assert theta.item() == 2.0
    return probe


def test_affinities_by_hand():
    probe = measured({"one": lambda x: x**2, "two": lambda x: (x - 3) ** 2})
    # θ = 2: L = (4, 1), gradients (4, −2). A step of 0.1 for one: θ = 1.6, L = (2.56, 1.96);
    # for two: θ = 2.2, L = (4.84, 0.64).
    assert sum(probe.affinity.means, []) == pytest.approx([0.36, -0.96, -0.21, 0.36], abs=1e-6)  # noqa: RUF017
    assert sum(probe.cosine.means, []) == pytest.approx([1, -1, -1, 1])  # noqa: RUF017


def test_a_task_that_is_absent_or_has_no_loss_is_not_measured():
    probe = measured({"one": lambda x: x**2, "none": lambda x: 0 * x}, ["absent", "one", "none"])
    assert math.isnan(probe.affinity.means[0][1])
    assert math.isnan(probe.affinity.means[1][0])
    assert probe.affinity.means[1][1] == pytest.approx(0.36, abs=1e-6)
    assert math.isnan(probe.affinity.means[1][2])  # a loss of 0 cannot fall by a share
    assert probe.affinity.means[2][1] == pytest.approx(0.0)
    assert math.isnan(probe.cosine.means[1][2])  # a gradient of 0 has no direction


def test_means_are_over_the_steps_in_which_a_pair_was_there():
    probe = measured({"one": lambda x: x**2, "two": lambda x: (x - 3) ** 2}, ["one", "two"])
    probe.measure(Hand({"one": lambda x: x**2}, torch.nn.Parameter(torch.tensor(2.0))))
    assert probe.affinity.means[0] == pytest.approx([0.36, -0.96], abs=1e-6)
    assert [each.step for each in probe.history] == [0, 0]


@pytest.mark.parametrize("weighting", [{}, {"weighting": "pcgrad"}])
def test_training_is_the_same_bit_for_bit_with_a_probe(weighting):
    from tests._toy import option

    changes = {key: option("weighting", name) for key, name in weighting.items()}
    plain, probed = make(**changes), make(**changes)
    probe = AffinityProbe(probed.weighting, lambda: probed.optimizer.param_groups[0]["lr"], every=2)
    probed.weighting = probe
    steps(plain, 5)
    steps(probed, 5)
    assert_equal_weights(weights(plain), weights(probed))
    assert [each.step for each in probe.history] == [0, 2, 4]
    assert probe.state_dict().keys() == plain.weighting.state_dict().keys()
    assert list(probe.parameters()) == []


def test_what_is_measured_is_what_a_step_for_one_task_alone_does():
    job = make()
    probe = AffinityProbe(job.weighting, lambda: job.optimizer.param_groups[0]["lr"], every=1)
    job.weighting = probe
    steps(job, 3)
    seen = probe.history[-1].affinity
    again = steps(make(), 2)
    from mtl_cli.training.trainer import next_step, set_learning_rate

    lr = set_learning_rate(again)
    step = next_step(again)
    before = step.losses_now()
    (only,) = step.passes()
    shared = again.learner.partition.shared
    gradients = torch.autograd.grad(only.losses["sign"], shared)
    with torch.no_grad():
        for parameter, gradient in zip(shared, gradients, strict=True):
            parameter -= lr * gradient
    after = step.losses_now()
    expected = [1 - float(after[task]) / float(before[task]) for task in ("quadrant", "sign")]
    assert seen[1] == pytest.approx(expected, abs=1e-6)
