"""Which runs are merged: single-task runs of one seed and fold that started from the same run; others are refused."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mtl_cli.answers.inference import Unit
from mtl_cli.answers.runs import Run
from mtl_cli.config.interpolation import leaves
from mtl_cli.errors import UserError, some

logger = logging.getLogger("mtl_cli")
MODELLED = ("sharing", "backbone", "data", "freeze")
"""Parts of the configs that must agree: they make the model and divide the data."""
FREE = ("data.workers", "data.batch_size")
"""Keys of these parts that may be chosen for each task."""
ADVICE = "Train each task alone from one run: mtl-train -m task=A,B init_from=RUN_DIR."


@dataclass(frozen=True)
class Parents:
    """The runs of each task alone, of one seed and fold."""

    unit: Unit
    runs: Mapping[str, Run]
    """By task, in the order of the tasks."""

    @property
    def first(self) -> Run:
        """The run of the first task."""
        return next(iter(self.runs.values()))

    @property
    def name(self) -> str:
        """A name for a folder."""
        return f"seed_{self.unit.seed}" + ("" if self.unit.fold is None else f"_fold_{self.unit.fold}")


def parents_of(runs: Sequence[Run]) -> list[Parents]:
    """Return the single-task runs among `runs` that can be merged, by seed and fold; joint runs are passed over.

    Raises:
        UserError: there are none, a task has several of one seed and fold, or they have no common initialisation.
    """
    alone = [run for run in runs if run.completed and len(run.tasks) == 1 == len(run.config.get("tasks", ()))]
    tasks = list(dict.fromkeys(run.tasks[0] for run in alone))
    if len(tasks) < 2:
        there = f"those of {tasks[0]}" if tasks else "none"
        raise UserError(f"Merging needs complete runs of two or more tasks alone; there are {there}. {ADVICE}")
    started = [run for run in alone if run.config.get("init_from") is not None]
    if fresh := [task for task in tasks if all(run.tasks[0] != task for run in started)]:
        where = next(run.path for run in alone if run.tasks[0] == fresh[0])
        raise UserError(
            f"Merging needs runs with a common initialisation; those of {some(fresh)}, such as {where}, have no "
            f"init_from: weights that were drawn at random do not lie together after training. {ADVICE}"
        )
    ordered = _in_joint_order(tasks, runs)
    found = [_of_unit(unit, ordered, started) for unit in dict.fromkeys(run.unit for run in started)]
    whole = sorted((each for each in found if each is not None), key=lambda each: each.name)
    if not whole:
        raise UserError(f"No seed and fold has a run of each of {some(tasks)} with init_from. {ADVICE}")
    if problems := [text for each in whole for text in _differences(each)]:
        raise UserError(problems)
    return whole


def _in_joint_order(tasks: Sequence[str], runs: Sequence[Run]) -> list[str]:
    """Return the tasks in the order that a joint run of them has, so that datasets have the same names."""
    joint = next((run.tasks for run in runs if set(run.tasks) == set(tasks)), None)
    return list(joint or tasks)


def _of_unit(unit: Unit, tasks: Sequence[str], started: Sequence[Run]) -> Parents | None:
    found: dict[str, Run] = {}
    for task in tasks:
        own = [run for run in started if run.unit == unit and run.tasks[0] == task]
        if len(own) > 1:
            raise UserError(
                f"Merging needs one run of each task for a seed and fold; {own[0].path} and {own[1].path} are both of "
                f"{task} with seed {unit.seed}. Name the directories of the runs to merge."
            )
        if not own:
            logger.warning("Seed %s is not merged: it has no complete run of %s with init_from.", unit.seed, task)
            return None
        found[task] = own[0]
    return Parents(unit, found)


def _differences(parents: Parents) -> Iterator[str]:
    """Yield in which parts of their configs the runs differ that must agree."""
    first = parents.first
    for run in list(parents.runs.values())[1:]:
        for part in MODELLED:
            mine, theirs = (_leaves(each.config.get(part), part) for each in (first, run))
            for key in sorted(mine.keys() | theirs.keys()):
                if key not in FREE and mine.get(key) != theirs.get(key):
                    yield (
                        f"{run.path} cannot be merged with {first.path}: {key} is {theirs.get(key)} there and "
                        f"{mine.get(key)} here. Train both with {key}={mine.get(key)}."
                    )


def _leaves(node: Any, part: str) -> dict[str, Any]:  # noqa: ANN401  any YAML value
    return dict(leaves({part: node}))
