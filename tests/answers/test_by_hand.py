"""A whole verdict against a computation of its own with numpy and scipy."""

import numpy as np
import pytest
from scipy import stats

from mtl_cli.answers.verdict import judge
from tests.answers._runs import run

METRICS = ("a/accuracy", "a/f1", "a/loss", "b/rmse", "b/mae", "b/r2")
LOWER = ("b/rmse", "b/mae")
SEEDS = 4


def expected(own, base):
    """Return mean, interval and corrected p-value of Δm and each metric; own and base [seeds, metrics without loss]."""
    names = [name for name in METRICS if not name.endswith("loss")]
    sign = np.array([-1 if name in LOWER else 1 for name in names])
    share = np.array([1 / 2 / sum(other[0] == name[0] for other in names) for name in names])
    scale = 100 * share / np.abs(base.mean(0))
    grain = np.array([np.diff(np.unique(np.r_[own[:, k], base[:, k]])).min() for k in range(len(names))]) * 2**0.5
    columns = np.c_[(sign * (own - base)) @ scale, own - base]
    grains = np.r_[np.sqrt(((scale * grain) ** 2).sum()), grain]
    error = np.sqrt((columns.var(0, ddof=1) + grains**2 / 12) / SEEDS)
    mean, half = columns.mean(0), stats.t.ppf(0.975, SEEDS - 1) * error
    p = 2 * stats.t.sf(np.abs(mean / error), SEEDS - 1)
    weight = np.array([0.5, *[0.5 / len(names)] * len(names)])
    order = np.argsort(p / weight)
    steps = [min(1, p[at] * weight[order[place:]].sum() / weight[at]) for place, at in enumerate(order)]
    corrected = np.empty_like(p)
    corrected[order] = np.maximum.accumulate(steps)
    return np.c_[mean, mean - half, mean + half, corrected]


def test_a_verdict_is_what_numpy_and_scipy_compute():
    stream = np.random.default_rng(5)
    base = 0.5 + 0.02 * stream.normal(size=(SEEDS, len(METRICS)))
    own = base + np.array([0.04, 0.05, 0, 0.06, 0, 0]) + 0.01 * stream.normal(size=base.shape)
    runs = [
        run(dict(zip(METRICS, map(float, values[seed]), strict=True)), sharing=name, seed=seed, lower=LOWER)
        for name, values in (("hard", own), ("independent", base))
        for seed in range(SEEDS)
    ]
    (answer,) = [each for each in judge(runs).answers if each.setting.name == "sharing=hard"]
    found = [
        [each.difference.mean, *each.difference.interval(), each.adjusted] for each in (answer.gain, *answer.metrics)
    ]
    kept = [place for place, name in enumerate(METRICS) if not name.endswith("loss")]
    assert np.array(found) == pytest.approx(expected(own[:, kept], base[:, kept]), rel=1e-9)
    assert {each.word for each in answer.metrics} == {"better", "worse", "cannot tell"}
