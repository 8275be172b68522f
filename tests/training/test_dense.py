"""Steps on a U-Net of real stages, with heads that read its skips, in every sharing mode."""

import pytest
import torch

from mtl_cli.config.interpolation import resolve
from mtl_cli.config.targets import Trust
from mtl_cli.runs.build import build
from mtl_cli.training.next_step import next_step
from mtl_cli.training.trainer import train_step
from mtl_cli.weightings.gradient_base import GradientWeighting
from tests import _toy
from tests._thinned import thinned
from tests.runs.test_resume_every import options

SGD = {"_target_": "torch.optim.SGD", "lr": 0.1}
FIXED = {"_target_": "mtl_cli.weightings.fixed.Fixed"}
SHARING = options("sharing")


def trained(sharing, weighting, steps, changes, **more):
    config = _toy.config(**changes, sharing=_toy.option("sharing", sharing), optimizer=SGD, weighting=weighting, **more)
    job = build(resolve(config), Trust(("tests",))).job
    job.learner.model.train()
    for _ in range(steps):
        train_step(job, next_step(job))
        job.progress.step += 1
    return job.learner.model


def assert_close(first, second, **tolerance):
    for (key, own), other in zip(first.named_parameters(), second.parameters(), strict=True):
        torch.testing.assert_close(own, other, **tolerance, msg=lambda text, key=key: f"{key}: {text}")


@pytest.mark.parametrize("sharing", thinned(SHARING, 4))
def test_accumulation_equals_the_large_batch(sharing):
    large = trained(sharing, FIXED, 3, _toy.dense(missing=0.5))
    parts = trained(sharing, FIXED, 3, _toy.dense(missing=0.5, batch_size=4), trainer__accumulate=4)
    before = trained(sharing, FIXED, 0, _toy.dense(missing=0.5))
    moved = zip(large.parameters(), before.parameters(), strict=True)
    assert max((own - other).abs().max() for own, other in moved) > 1e-3
    assert_close(parts, large, rtol=1e-4, atol=1e-6)


class Ones(GradientWeighting):
    """Weights 1: the plain sum of the gradients, by the way of their rows."""

    def forward(self, gramian, losses, present):
        return torch.ones_like(losses)


WITHOUT_BOUNDARY = {"independent", "soft", "adapters"}


@pytest.mark.parametrize("sharing", sorted(set(SHARING) - WITHOUT_BOUNDARY))
def test_rows_taken_at_the_features_give_the_step_of_the_plain_sum(sharing):
    rows = {"_target_": f"{__name__}.Ones", "level": "features", "update_every": 1, "match_norm": "none"}
    step = trained(sharing, rows, 1, _toy.dense())
    assert_close(step, trained(sharing, FIXED, 1, _toy.dense()), rtol=0, atol=3e-7)
