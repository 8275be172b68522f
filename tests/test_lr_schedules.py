import math

import pytest
import torch
from torch.optim import lr_scheduler

from mtl_cli.lr_schedules import Constant, Cosine, LRSchedule, OneCycle, Step

LR = 0.3
TOTAL = 40


def torchs_rates(make, total=TOTAL):
    """Return the learning rates that a scheduler of torch sets at steps 0 … total - 1."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=LR)
    scheduler = make(optimizer)
    rates = []
    for _ in range(total):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def ours(schedule, total=TOTAL):
    return [LR * schedule.factor(step, total) for step in range(total)]


@pytest.mark.parametrize("total", [7, 40, 101])
@pytest.mark.parametrize(("pct_start", "div", "final_div"), [(0.3, 25.0, 1e4), (0.05, 10.0, 1.0), (0.9, 1.0, 100.0)])
def test_one_cycle_equals_torchs_step_by_step(total, pct_start, div, final_div):
    expected = torchs_rates(
        lambda optimizer: lr_scheduler.OneCycleLR(
            optimizer, LR, total, pct_start=pct_start, div_factor=div, final_div_factor=final_div, cycle_momentum=False
        ),
        total - 1,  # torch refuses a step beyond the last
    )
    rates = ours(OneCycle(pct_start, div, final_div, warmup_steps=0), total)
    assert rates[:-1] == pytest.approx(expected, rel=1e-9)
    assert rates[-1] == pytest.approx(LR / div / final_div, rel=1e-9)


def test_one_cycle_is_finite_where_its_rise_is_shorter_than_a_step():
    for total in (1, 2, 3, 10):
        for pct_start in (0.01, 0.1, 0.5, 1 / 3):
            factors = [OneCycle(pct_start, 25.0, 1e4, 0).factor(step, total) for step in range(total)]
            assert all(0 < factor <= 1 for factor in factors)
            assert factors[-1] <= factors[0] or total == 1


def test_step_equals_torchs_step_by_step():
    expected = torchs_rates(lambda optimizer: lr_scheduler.StepLR(optimizer, step_size=7, gamma=0.4))
    assert ours(Step(step_size=7, gamma=0.4, warmup_steps=0)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("min_factor", [0.0, 0.1, 1.0])
def test_cosine_equals_torchs_step_by_step(min_factor):
    expected = torchs_rates(lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, TOTAL, eta_min=min_factor * LR))
    assert ours(Cosine(min_factor, warmup_steps=0)) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_cosine_stays_at_its_end_beyond_the_last_step():
    assert Cosine(0.25, 0).factor(TOTAL, TOTAL) == pytest.approx(0.25)
    assert Cosine(0.25, 0).factor(3 * TOTAL // 2, TOTAL) == pytest.approx(0.25)


def test_constant_is_one():
    assert ours(Constant(0)) == [LR] * TOTAL


@pytest.mark.parametrize(
    "make",
    [Constant, lambda w: Step(3, 0.5, w), lambda w: Cosine(0.1, w), lambda w: OneCycle(0.3, 5.0, 10.0, w)],
    ids=["constant", "step", "cosine", "one_cycle"],
)
@pytest.mark.parametrize("warmup", [1, 4])
def test_warm_up_rises_linearly_to_where_the_decay_starts_and_the_decay_fills_the_rest(make, warmup):
    with_warmup, without = make(warmup), make(0)
    start = without.factor(0, TOTAL)
    for step in range(warmup):
        assert with_warmup.factor(step, TOTAL + warmup) == pytest.approx(start * (step + 1) / (warmup + 1))
    for step in range(TOTAL):
        assert with_warmup.factor(warmup + step, TOTAL + warmup) == pytest.approx(without.factor(step, TOTAL))


def test_a_run_shorter_than_its_warm_up_only_rises():
    factors = [Cosine(0.0, 10).factor(step, 5) for step in range(5)]
    assert factors == pytest.approx([1 / 11, 2 / 11, 3 / 11, 4 / 11, 5 / 11])


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: Constant(-1), "warmup_steps"),
        (lambda: Step(0, 0.5, 0), "step_size"),
        (lambda: Step(5, 0.0, 0), "gamma"),
        (lambda: Step(5, -0.5, 0), "gamma"),
        (lambda: Step(5, math.nan, 0), "gamma"),
        (lambda: Step(5, 0.5, -3), "warmup_steps"),
        (lambda: Cosine(-0.1, 0), "min_factor"),
        (lambda: Cosine(1.1, 0), "min_factor"),
        (lambda: Cosine(math.nan, 0), "min_factor"),
        (lambda: OneCycle(0.0, 25.0, 1e4, 0), "pct_start"),
        (lambda: OneCycle(1.0, 25.0, 1e4, 0), "pct_start"),
        (lambda: OneCycle(math.nan, 25.0, 1e4, 0), "pct_start"),
        (lambda: OneCycle(0.3, 0.5, 1e4, 0), "div_factor"),
        (lambda: OneCycle(0.3, 25.0, 0.0, 0), "final_div_factor"),
        (lambda: OneCycle(0.3, math.nan, 1e4, 0), "div_factor"),
        (lambda: OneCycle(0.3, 25.0, math.nan, 0), "final_div_factor"),
        (lambda: OneCycle(0.3, 25.0, math.inf, 0), "final_div_factor"),
    ],
)
def test_values_out_of_range_are_refused_and_named(make, name):
    with pytest.raises(ValueError, match=f"{name} "):
        make()


def test_a_schedule_cannot_be_made_without_a_decay():
    with pytest.raises(TypeError, match="abstract"):
        LRSchedule(0)
