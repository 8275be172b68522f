"""A run abandoned at a step and taken up in new objects ends bit for bit the same: every mode, every weighting."""

import io
from pathlib import Path

import pytest
import torch

from mtl_cli.config.interpolation import resolve
from mtl_cli.config.shipped import conf_dir
from mtl_cli.config.targets import Trust
from mtl_cli.errors import UserError
from mtl_cli.runs.build import build
from mtl_cli.training.next_step import next_step
from mtl_cli.training.trainer import train_step
from tests import _toy
from tests._resuming import assert_same
from tests._thinned import thinned

TRUST = Trust(("tests",))


def options(group):
    found = sorted(path.stem for path in Path(conf_dir(), group).glob("*.yaml"))
    assert len(found) > 1
    return found


NET = {"backbone__channels": [4, 4], "backbone__dense": [8, 8]}


def fresh(sharing, weighting, schedule="joint", changes=NET):
    config = _toy.config(
        sharing=_toy.option("sharing", sharing),
        weighting=_toy.option("weighting", weighting),
        schedule=_toy.option("schedule", schedule),
        ema__decay=0.9,
        trainer__max_epochs=3,
        **changes,
    )
    return build(resolve(config), TRUST).job


def advance(job, until):
    job.learner.model.train()
    while job.progress.step < until:
        step = next_step(job)
        train_step(job, step)
        job.progress.step += 1
        if job.progress.step % job.schedule.steps_per_epoch == 0:
            job.weighting.after_epoch()
    return job


def through_a_file(state):
    """Return a state as a checkpoint gives it back: nothing of the old objects survives."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


def check(sharing, weighting, schedule="joint", changes=NET):
    whole = advance(fresh(sharing, weighting, schedule, changes), 8)
    abandoned = advance(fresh(sharing, weighting, schedule, changes), 5)
    taken_up = fresh(sharing, weighting, schedule, changes)
    taken_up.load(through_a_file(abandoned.state()))
    advance(taken_up, 8)
    one, other = taken_up.state(), whole.state()
    for key in ("model", "ema", "optimizer", "weighting"):
        assert_same(one[key], other[key], key)
    assert one["progress"]["step"] == 8


def refused(sharing, weighting, schedule="joint", changes=NET):
    """Return whether a combination is refused before training."""
    try:
        fresh(sharing, weighting, schedule, changes)
    except UserError:
        return True
    return False


@pytest.mark.parametrize("sharing", options("sharing"))
def test_every_sharing_mode_resumes_bit_for_bit(sharing):
    check(sharing, "uncertainty")


@pytest.mark.parametrize("sharing", thinned(options("sharing"), 3))
def test_every_sharing_mode_resumes_bit_for_bit_on_a_u_net(sharing):
    check(sharing, "uncertainty", changes=_toy.dense())


@pytest.mark.parametrize("weighting", thinned(options("weighting"), 6))
def test_every_weighting_resumes_bit_for_bit(weighting):
    check("hard", weighting)


@pytest.mark.parametrize("schedule", options("schedule"))
def test_every_schedule_resumes_bit_for_bit(schedule):
    check("hard", "fixed", schedule)


def pairs(step):
    """Return one in `step` of all pairs of a mode and a weighting; each of both occurs."""
    modes, weightings = options("sharing"), options("weighting")
    return [(a, b) for i, a in enumerate(modes) for j, b in enumerate(weightings) if (i + j) % step == 0]


@pytest.mark.slow
@pytest.mark.parametrize(("sharing", "weighting"), pairs(3))
def test_every_mode_and_every_weighting_resume_bit_for_bit_or_are_refused(sharing, weighting):
    if not refused(sharing, weighting):
        check(sharing, weighting)


@pytest.mark.slow
@pytest.mark.parametrize(("sharing", "weighting"), pairs(6))
def test_every_mode_and_every_weighting_resume_bit_for_bit_on_a_u_net_or_are_refused(sharing, weighting):
    if not refused(sharing, weighting, changes=_toy.dense()):
        check(sharing, weighting, changes=_toy.dense())


def test_gradient_weightings_are_refused_where_nothing_is_shared_and_only_there():
    modes = {sharing: refused(sharing, "pcgrad") for sharing in options("sharing")}
    assert {sharing for sharing, no in modes.items() if no} == {"independent", "soft"}
