"""How much privacy steps spend, as opacus counts it."""

import logging
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from mtl_cli.errors import UserError, not_installed


@dataclass(frozen=True)
class Accountant:
    """Counts the ε of steps of the Gaussian mechanism on Poisson samples.

    Source: I. Mironov, "Rényi Differential Privacy", CSF 2017; I. Mironov, K. Talwar, L. Zhang, "Rényi Differential
    Privacy of the Sampled Gaussian Mechanism", 2019; computed by opacus.

    Args:
        noise: standard deviation of the noise in units of the largest norm of a row's gradient.
        rate: probability that a row is in the batch of a step.
        delta: δ.
    """

    noise: float
    rate: float
    delta: float

    @cached_property
    def _orders(self) -> list[float]:
        with opacus():
            from opacus.accountants import RDPAccountant

            return RDPAccountant.DEFAULT_ALPHAS

    @cached_property
    def _per_step(self) -> Any:  # noqa: ANN401  numbers by order, as opacus gives them
        with opacus():
            from opacus.accountants.analysis import rdp

            if math.isinf(self.noise):
                return np.zeros(len(self._orders))
            return np.asarray(rdp.compute_rdp(q=self.rate, noise_multiplier=self.noise, steps=1, orders=self._orders))

    def spent(self, steps: int) -> float:
        """Return the ε of so many steps at δ."""
        if steps == 0:
            return 0.0
        if self.noise == 0.0:
            return math.inf
        with opacus():
            from opacus.accountants.analysis import rdp

            epsilon, _ = rdp.get_privacy_spent(orders=self._orders, rdp=self._per_step * steps, delta=self.delta)
        return float(epsilon)


def noise_for(epsilon: float, rate: float, delta: float, steps: int) -> float:
    """Return the least noise, to a thousandth of ε, under which so many steps spend at most ε.

    Raises:
        UserError: no noise does.
    """
    least = Accountant(math.inf, rate, delta).spent(steps)
    if epsilon <= least:
        raise UserError(
            f"No noise is counted within privacy.epsilon={epsilon:g} at privacy.delta={delta:g}: the least that the "
            f"accountant tells is {least:.3g}. Use a larger ε, such as privacy.epsilon={max(1.0, 10 * epsilon):g}."
        )
    with opacus():
        from opacus.accountants.utils import get_noise_multiplier

        return float(
            get_noise_multiplier(
                target_epsilon=epsilon, target_delta=delta, sample_rate=rate, steps=steps,
                accountant="rdp", epsilon_tolerance=(epsilon - least) / 1000,
            )
        )  # fmt: skip


@contextmanager
def opacus() -> Iterator[None]:
    """Import and call opacus without its warnings, and without the handler that it gives to the root of all loggers.

    Raises:
        UserError: it is not installed.
    """
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
            root.handlers[:] = handlers
            root.setLevel(level)
        except ImportError as error:
            raise not_installed("Privacy is counted by opacus", error, "privacy") from error
