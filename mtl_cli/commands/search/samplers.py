"""How the next point is proposed: each proposal is a function of (seed, trial's number, what the others showed)."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import BasePruner, MedianPruner, NopPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from mtl_cli.commands.search.space import Point
from mtl_cli.files import sha256

STARTUP = 10
"""Trials at random before TPE has something to go by."""
FIRST_TRIALS, FIRST_EPOCHS = 5, 2
"""Complete trials before any is pruned, and epochs of a trial before it can be."""
Make = Callable[[int], BaseSampler]
"""Makes a sampler from a seed."""


class Numbered(BaseSampler):
    """Asks a new sampler for each trial, seeded by the trial's number, so that a search can be killed anywhere.

    Optuna's samplers draw from a stream that a process begins anew. `given` are the points of some trials by number.
    """

    def __init__(self, make: Make, seed: int, given: Mapping[int, Point]) -> None:
        self._make, self._seed, self._given = make, seed, given

    def _of(self, trial: FrozenTrial, name: str = "") -> BaseSampler:
        return self._make(int(sha256(f"{self._seed}\x1f{trial.number}\x1f{name}".encode())[:8], 16))

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the coordinates that are proposed together."""
        return {} if trial.number in self._given else self._of(trial).infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return these coordinates."""
        return self._of(trial).sample_relative(study, trial, search_space) if search_space else {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:  # noqa: ANN401  a value of a coordinate
        """Return one coordinate that is proposed by itself."""
        if trial.number in self._given:
            return self._given[trial.number][param_name]
        return self._of(trial, param_name).sample_independent(study, trial, param_name, param_distribution)


def make_sampler(kind: str, seed: int, given: Sequence[Point]) -> BaseSampler:
    """Return the sampler of a kind of search; the first trials are the `given` points."""

    def tpe(number: int) -> BaseSampler:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            return TPESampler(
                seed=number,
                n_startup_trials=STARTUP,
                multivariate=True,
                constant_liar=True,
            )

    make: Make = tpe if kind in ("tpe", "scalarization") else RandomSampler
    return Numbered(make, seed, dict(enumerate(given)))


def make_pruner(prune: bool) -> BasePruner:
    """Return what says that a trial is hopeless: its best score is below the median of the others at its epoch."""
    return MedianPruner(FIRST_TRIALS, FIRST_EPOCHS) if prune else NopPruner()
