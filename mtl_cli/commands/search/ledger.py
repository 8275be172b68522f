"""The trials of a search, in an SQLite file of its directory, on which several processes may work at once."""

import contextlib
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock, Timeout
from optuna.distributions import BaseDistribution
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from mtl_cli.errors import UserError
from mtl_cli.files import make_folder

logger = logging.getLogger("mtl_cli")
FILE = "search.db"
"""The storage, below the directory of the search."""
LOCKS = ".trials"
STUDY = "search"
REASON, RUNS, IDENTITY, WORDS = "reason", "runs", "identity", "words"


@dataclass(frozen=True)
class Entry:
    """What is known of one trial."""

    number: int
    point: Mapping[str, Any]
    state: str
    """complete, pruned, failed, or running."""
    score: float | None
    """Higher is better; of a pruned trial, the last one that it reached."""
    reason: str
    runs: Mapping[str, Mapping[str, str]]
    """The swept values of its runs, by their directories below that of the search."""


class Ledger:
    """The trials of one search; the score that it maximises is told to it.

    Raises:
        UserError: the directory holds the storage of another search, or a file that is none.
    """

    def __init__(
        self, directory: Path, identity: str, words: Sequence[str], sampler: BaseSampler, pruner: BasePruner
    ) -> None:
        self.directory = directory
        make_folder(directory / LOCKS)
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        file = directory / FILE
        try:
            with self._mutex(), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of the packages below Optuna, about each other
                url = f"sqlite:///{file.absolute()}"
                storage = optuna.storages.RDBStorage(url, engine_kwargs={"connect_args": {"timeout": 60}})
                self._study = optuna.create_study(
                    storage=storage, sampler=sampler, pruner=pruner, study_name=STUDY, direction="maximize",
                    load_if_exists=True,
                )  # fmt: skip
                if not self._study.trials:
                    self._study.set_user_attr(IDENTITY, identity)
                    self._study.set_user_attr(WORDS, list(words))
        except (SQLAlchemyError, RuntimeError, KeyError, ValueError) as error:
            raise UserError(
                f"{file} is not the storage of a search ({str(error).splitlines()[0]}). Give another hydra.sweep.dir."
            ) from error
        known = self._study.user_attrs
        if known.get(IDENTITY) != identity:
            words = " ".join(map(str, known.get(WORDS) or ())) or "unknown words"
            raise UserError(f"{directory} holds another search: {words}. Give another hydra.sweep.dir.")

    def _mutex(self) -> FileLock:
        return FileLock(self.directory / LOCKS / "lock")

    @contextlib.contextmanager
    def take(self, coordinates: Mapping[str, BaseDistribution], most: int) -> Iterator["Taken | None"]:
        """Give a trial to a block: one that a process left when it ended, else a new one; None where all are taken.

        No other process takes it as long as the block runs.
        """
        taken, lock = self._take(coordinates, most)
        try:
            yield taken
        finally:
            if lock is not None:
                if taken is not None and taken.told:
                    Path(lock.lock_file).unlink(missing_ok=True)
                lock.release()

    def _take(self, coordinates: Mapping[str, BaseDistribution], most: int) -> tuple["Taken | None", FileLock | None]:
        with self._mutex():
            for left in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
                lock = self._lock(left.number)
                with contextlib.suppress(Timeout):
                    lock.acquire(timeout=0)
                    trial = Trial(self._study, left._trial_id)  # there is no public way back to a trial
                    return self._taken(trial, coordinates), lock
            if len(self._study.get_trials(deepcopy=False)) >= most:
                return None, None
            trial = self._study.ask()
            lock = self._lock(trial.number)
            lock.acquire(timeout=0)
            return self._taken(trial, coordinates), lock

    def _lock(self, number: int) -> FileLock:
        return FileLock(self.directory / LOCKS / f"{number}.lock")

    def _taken(self, trial: Trial, coordinates: Mapping[str, BaseDistribution]) -> "Taken":
        point = {name: trial._suggest(name, where) for name, where in coordinates.items()}
        return Taken(self._study, trial, point)

    @property
    def entries(self) -> list[Entry]:
        """Every trial, in the order of their numbers."""
        return [entry_of(each) for each in self._study.get_trials(deepcopy=False)]


def entry_of(trial: FrozenTrial) -> Entry:
    """Return what Optuna keeps of a trial."""
    words = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed"}
    value = trial.value if trial.state in (TrialState.COMPLETE, TrialState.PRUNED) else None
    reason = str(trial.user_attrs.get(REASON, ""))
    runs = trial.user_attrs.get(RUNS) or {}
    return Entry(trial.number, trial.params, words.get(trial.state, "running"), value, reason, runs)


class Taken:
    """A trial that this process works at."""

    def __init__(self, study: optuna.Study, trial: Trial, point: Mapping[str, Any]) -> None:
        self._study, self._trial = study, trial
        self.number, self.point = trial.number, point
        self.told = False
        self._reported = set(study.get_trials(deepcopy=False)[trial.number].intermediate_values)

    def hopeless(self, place: int, score: float) -> str | None:
        """Take note of the score at a place of the trial, told once or again; return why it is hopeless, or None."""
        if place not in self._reported:
            self._trial.report(score, place)
            self._reported.add(place)
        if not self._trial.should_prune():
            return None
        return f"its score {score:.4f} makes it worse than the median of the other trials at this place"

    def runs(self, runs: Mapping[str, Mapping[str, str]]) -> None:
        """Note the swept values of the trial's runs, by their directories below that of the search."""
        self._trial.set_user_attr(RUNS, runs)

    def complete(self, score: float) -> None:
        """Note the trial's score."""
        self._end(TrialState.COMPLETE, "", score)

    def pruned(self, reason: str) -> None:
        """Note that the trial was stopped."""
        self._end(TrialState.PRUNED, reason)

    def failed(self, reason: str) -> None:
        """Note that the trial has no score."""
        self._end(TrialState.FAIL, reason)

    def _end(self, state: TrialState, reason: str, score: float | None = None) -> None:
        if reason:
            self._trial.set_user_attr(REASON, reason[:2000])
        self._study.tell(self._trial, score, state=state)
        self.told = True
