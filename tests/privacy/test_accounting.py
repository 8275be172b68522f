"""ε as opacus counts it, on known mechanisms."""

import math
import subprocess
import sys

import pytest

from mtl_cli.errors import UserError
from mtl_cli.privacy.accounting import Accountant, noise_for, opacus

with opacus():
    from opacus.accountants import RDPAccountant


def by_opacus(noise, rate, steps, delta):
    accountant = RDPAccountant()
    with opacus():
        for _ in range(steps):
            accountant.step(noise_multiplier=noise, sample_rate=rate)
        return accountant.get_epsilon(delta)


@pytest.mark.parametrize(("noise", "rate", "steps"), [(1.1, 0.01, 40), (0.7, 0.5, 3), (4.0, 1.0, 9)])
def test_what_is_spent_is_what_opacus_says_step_after_step(noise, rate, steps):
    assert Accountant(noise, rate, 1e-5).spent(steps) == pytest.approx(by_opacus(noise, rate, steps, 1e-5), rel=1e-12)


def test_without_sampling_it_is_the_gaussian_mechanism():
    """By Mironov's proposition 3, ε is at most the least α/2σ² · steps + log(1/δ)/(α−1) over α."""
    noise, delta, steps = 5.0, 1e-5, 10
    rho = steps / (2 * noise**2)
    classical = rho + 2 * math.sqrt(rho * math.log(1 / delta))
    assert 0.7 * classical < Accountant(noise, 1.0, delta).spent(steps) <= classical


def test_nothing_is_spent_before_the_first_step_and_everything_without_noise():
    assert Accountant(1.0, 0.1, 1e-5).spent(0) == 0.0
    assert Accountant(0.0, 0.1, 1e-5).spent(1) == math.inf


@pytest.mark.parametrize("epsilon", [0.3, 8.0])
def test_the_noise_keeps_within_epsilon_and_is_not_more_than_needed(epsilon):
    noise = noise_for(epsilon, 0.05, 1e-5, 100)
    spent = Accountant(noise, 0.05, 1e-5).spent(100)
    assert 0.998 * epsilon < spent <= epsilon


def test_an_epsilon_that_no_noise_reaches_is_refused_with_one_that_it_does():
    with pytest.raises(UserError, match=r"Use a larger ε, such as privacy\.epsilon=1"):
        noise_for(1e-9, 0.5, 1e-5, 1000)


@pytest.mark.slow
def test_opacus_leaves_no_handler_of_its_own_on_the_root_of_all_loggers():
    code = (
        "import logging; from mtl_cli.privacy.accounting import Accountant; Accountant(1.0, 0.1, 1e-5).spent(1); "
        "assert not logging.getLogger().handlers and logging.getLogger().level == logging.WARNING"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_a_missing_opacus_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "opacus.accountants", None)
    with pytest.raises(UserError, match=r"pip install 'mtl-cli\[privacy\]'"):
        Accountant(1.0, 0.1, 1e-5).spent(1)
