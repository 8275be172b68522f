"""What a search is: its trials, made of a command line and checked before the first one starts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from mtl_cli.commands.command_line import CommandLine
from mtl_cli.commands.compose import Session, hydra_session
from mtl_cli.commands.composed_run import compose_run, hydra_value, makeable
from mtl_cli.commands.search.ledger import Ledger
from mtl_cli.commands.search.options import DEFAULT_TRIALS, MEAN_GAIN, NOT_IDENTITY, SearchOptions
from mtl_cli.commands.search.samplers import make_pruner, make_sampler
from mtl_cli.commands.search.space import Point, Simplex, Space, read_space
from mtl_cli.commands.search.trial import Trial
from mtl_cli.commands.sweeps.job import SweepJob
from mtl_cli.commands.sweeps.sweep import compose_jobs, sweep_words
from mtl_cli.config.run_config import checked, config_hash
from mtl_cli.errors import UserError

FOLD = "data.inner_fold"


@dataclass(frozen=True)
class Search:
    """A search of which the command line makes sense, with examples of its runs."""

    options: SearchOptions
    space: Space
    directory: Path
    words: tuple[str, ...]
    examples: tuple[SweepJob, ...]

    @cached_property
    def given(self) -> Sequence[Point]:
        """The points of the first trials: all of a grid, and equal weights before others are tried."""
        if self.options.kind == "grid":
            return self.space.grid(self.options.points)
        axis = next((axis for axis in self.space.axes if isinstance(axis, Simplex)), None)
        if axis is None or len(self.space.axes) > 1:
            return []
        return [axis.equal]

    @property
    def trials(self) -> int:
        """How many trials are wanted."""
        if self.options.kind == "grid":
            return min(len(self.given), self.options.trials or len(self.given))
        return self.options.trials or DEFAULT_TRIALS

    def ledger(self) -> Ledger:
        """Open the trials that there are, for more of them.

        Raises:
            UserError: the directory holds another search.
        """
        options = self.options
        sampler = make_sampler(options.kind, options.seed, self.given)
        return Ledger(
            self.directory, config_hash({"search": self.words}), self.words, sampler, make_pruner(options.pruning)
        )

    def trial(self, point: Point, line: CommandLine) -> Trial:
        """Return the runs of a point.

        Raises:
            UserError: the values do not go together.
        """
        values = self.space.values(point)
        with hydra_session(line.config_dir, line.config_name) as session:
            jobs, _ = compose_jobs(session, self.runs(values))
        return Trial(values, tuple(replace(job, directory=self.directory / job.directory) for job in jobs))

    def runs(self, values: dict[str, str]) -> list[tuple[list[str], dict[str, str]]]:
        """Return the overrides of each run at some values, with what sets it apart by key."""
        return runs_at(self.space, values, self.options.folds)


def runs_at(space: Space, values: Mapping[str, str], folds: int | None) -> list[tuple[list[str], dict[str, str]]]:
    """Return the overrides of each run of a space at some values, with what sets it apart by key."""
    own = [f"{key}={value}" for key, value in values.items()]
    swept = {key.lstrip("+"): value for key, value in values.items()}
    if folds is None:
        return [([*space.same, *own], swept)]
    return [
        ([*space.same, *own, f"data.inner_folds={folds}", f"{FOLD}={fold}"], {**swept, FOLD: str(fold)})
        for fold in range(folds)
    ]


def plan(session: Session, overrides: Sequence[str], options: SearchOptions) -> Search:
    """Return the search that overrides describe; examples of its runs are composed and checked.

    Raises:
        UserError: the problems of all examples, or there is nothing to search.
    """
    space = read_space(overrides, session.loader, options.log)
    if options.metric is not None:
        space = replace(space, same=(*space.same, f"selection.metric={options.metric}"))
    if options.kind == "scalarization":
        space = replace(space, axes=(simplex(session, space), *space.axes))
    check_division(overrides, options)
    jobs, first = compose_jobs(session, [runs_at(space, values, options.folds)[0] for values in space.examples()])
    given = {text.lstrip("+").partition("=")[0] for text in overrides}
    params = first.hydra.sweeper.get("params") or {}
    if added := [f"{key}={value}" for key, value in params.items() if str(key) not in given]:
        return plan(session, [*added, *overrides], options)  # ranges that stand in an experiment
    check_options(options, space, first, jobs[0].config)
    task = str(first.hydra.runtime.choices.get("task"))
    own = [f"search={options.kind}"] + [
        f"search.{name}={value}"
        for name, value in sorted(vars(options).items())
        if name != "kind" and name not in NOT_IDENTITY and value is not None
    ]
    words = (*own, *sweep_words(overrides, task))
    directory = Path(hydra_value(first, "hydra.sweep.dir").replace("{sweep}", config_hash({"search": words})))
    placed = tuple(replace(job, directory=directory / job.directory) for job in jobs)
    return Search(options, space, directory, words, placed)


def check_options(options: SearchOptions, space: Space, composed: DictConfig, config: Mapping[str, Any]) -> None:
    """Compare the options of a search with its space, with Hydra's own node, and with the config of a run.

    Raises:
        UserError: they do not go together.
    """
    if not space.axes:
        raise UserError(
            f"search={options.kind} has nothing to search: no key has several values. "
            "Use for example 'tasks.letters.weight=interval(0.1,10)'."
        )
    if not str(composed.hydra.sweeper.get("_target_")).endswith(".BasicSweeper"):
        raise UserError("hydra/sweeper is changed; search= has samplers of its own. Use hydra/sweeper=basic.")
    if (launcher := str(composed.hydra.runtime.choices["hydra/launcher"])) != "basic":
        raise UserError(
            f"hydra/launcher={launcher} runs jobs that are all known before. "
            "Use hydra/launcher=basic and search.workers=2."
        )
    if options.choose != MEAN_GAIN and (metric := config["selection"]["metric"]) != "skill":
        raise UserError(
            f"search.choose={options.choose} compares the tasks' gains, which are measured only where the skill is "
            f"searched for, and here it is '{metric}'. Leave search.choose out, or use search.metric=skill."
        )
    tasks = trained_tasks(config)
    if options.preference is not None and len(options.preference) != len(tasks):
        raise UserError(
            f"search.preference has {len(options.preference)} weights for {len(tasks)} tasks: {', '.join(tasks)}. "
            "Give one for each."
        )


def check_division(overrides: Sequence[str], options: SearchOptions) -> None:
    """Refuse keys that the search sets itself.

    Raises:
        UserError: there are some.
    """
    keys = [text.partition("=")[0].lstrip("+") for text in overrides]
    own = [key for key in keys if key in ("data.inner_folds", FOLD, "data.train_on")]
    if own and (options.folds is not None or options.retrain):
        raise UserError(f"search.folds and search.retrain set {', '.join(own)} themselves. Leave it out.")


def simplex(session: Session, space: Space) -> Simplex:
    """Return the axis of the tasks' weights.

    Raises:
        UserError: weights are given, or there are fewer than two trained tasks.
    """
    keys = [text.partition("=")[0].lstrip("+") for text in space.same]
    keys += [key for axis in space.axes for key in axis.coordinates]
    if given := [key for key in keys if key.startswith("tasks.") and key.endswith(".weight")]:
        raise UserError(
            f"search=scalarization looks for the weights of all tasks, and {', '.join(given)} is given. Leave it out."
        )
    values = next(iter(space.examples()))
    [(overrides, _)] = runs_at(space, values, None)
    names = trained_tasks(compose_run(session, overrides).config)
    if len(names) < 2:
        raise UserError(
            f"search=scalarization weighs tasks against each other, and there is only {', '.join(names) or 'none'}. "
            "Use task=A+B."
        )
    return Simplex(names)


def trained_tasks(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the tasks with a weight above 0."""
    return tuple(name for name, node in checked(dict(config))["tasks"].items() if node["weight"] > 0)


def check(search: Search, folders: Sequence[Path]) -> None:
    """Check the examples against the signatures of their components, and one of them against the data.

    Raises:
        UserError: the problems of all of them.
    """
    from mtl_cli.runs import run

    problems: list[str] = []
    for job in search.examples:
        makeable(job.directory, "hydra.sweep.dir")
        try:
            run.check(job.config, folders)
        except UserError as error:
            problems += error.problems
    if not problems:
        try:
            run.check_with_data(search.examples[0].config, folders)
        except UserError as error:
            problems = error.problems
    if problems:
        raise UserError(list(dict.fromkeys(as_typed(text, search.options) for text in problems)))


def as_typed(problem: str, options: SearchOptions) -> str:
    """Return a problem of a run with the keys that the search set named as they were typed."""
    typed = {"data.inner_folds": options.folds, "selection.metric": options.metric}
    for key, new in (("data.inner_folds", "search.folds"), ("selection.metric", "search.metric")):
        problem = problem.replace(key, new) if typed[key] is not None else problem
    return problem
