"""Which setting the others are compared with."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mtl_cli.answers.inference import Unit
from mtl_cli.answers.runs import Run, find_runs
from mtl_cli.answers.settings import Setting, settings_of
from mtl_cli.errors import UserError

INDEPENDENT = "independent"
ALONE = "each task alone"
USUAL = ("sharing=hard", "weighting=fixed", "weighting=equal")
"""The settings that are tried as the baseline, in this order, where no setting has a network for each task."""


@dataclass(frozen=True)
class Baseline:
    """What a setting is compared with: one setting, or several that have a task each."""

    name: str
    parts: tuple[Setting, ...]

    def measured(self, metric: str, split: str) -> dict[Unit, float]:
        """Return a metric by seed and fold."""
        return {unit: value for part in self.parts for unit, value in part.measured(metric, split).items()}

    def run(self, unit: Unit, task: str) -> Run | None:
        """Return the run of a seed and fold that has a task."""
        return next((part.runs[unit] for part in self.parts if task in part.tasks and unit in part.runs), None)

    def holds(self, setting: Setting) -> bool:
        """True where a setting is a part of it."""
        return any(part is setting for part in self.parts)


@dataclass(frozen=True)
class Candidates:
    """The settings that may be a baseline; each setting is compared with the one that it agrees with most."""

    name: str
    found: tuple[Baseline, ...]
    note: str = ""

    def of(self, setting: Setting) -> Baseline:
        """Return the baseline of a setting."""
        return next(
            (each for each in self.found if each.holds(setting)),
            max(self.found, key=lambda each: sum(agreement(setting, part) for part in each.parts)),
        )


def agreement(one: Setting, other: Setting) -> int:
    """Return how many values two settings have in common."""
    return sum(other.values.get(key) == value for key, value in one.values.items())


def candidates(settings: Sequence[Setting], wanted: str | None) -> Candidates:
    """Return the baseline that a user names: the directory of a run or sweep, or a setting; by default `independent`.

    Without a network for each task among the settings, runs of each task alone take its place, else a usual setting.

    Raises:
        UserError: it is not among the settings, or is several.
    """
    name = wanted or INDEPENDENT
    if wanted and Path(wanted).exists():
        return _of_directory(Path(wanted), settings)
    found = tuple(Baseline(setting.name, (setting,)) for setting in settings if _is_called(setting, name))
    if wanted and len(found) == len(settings) > 1:
        raise UserError(
            f"baseline={wanted} fits all {len(settings)} settings, such as {settings[0].name}. Give a value that sets "
            "one apart, or the directory of a run."
        )
    if found and (wanted or len(found) < len(settings)):
        return Candidates(name, found)
    if wanted:
        if len(settings) == 1:
            raise UserError(f"baseline={wanted} is not a directory. Give that of a run or sweep to compare with.")
        names = "; ".join(setting.name for setting in settings[:20])
        raise UserError(
            f"baseline={wanted} is neither a directory nor one of the settings: {names}. Give a value that sets one "
            f"apart, such as {shlex.quote(f'baseline={settings[0].name}')}, or the directory of a run or sweep."
        )
    if alone := _alone(settings):
        return Candidates(ALONE, (alone,), "The baseline is each task alone, from the runs that have one task.")
    usual = max(settings, key=lambda setting: sum(word in setting.name.split(" ") for word in USUAL))
    return Candidates(
        usual.name,
        (Baseline(usual.name, (usual,)),),
        f"No runs of sharing=independent or of each task alone set themselves apart, so the baseline is {usual.name}. "
        "Name another one by mtl-report DIR baseline=SETTING, or baseline=DIR.",
    )


def _of_directory(path: Path, settings: Sequence[Setting]) -> Candidates:
    runs = find_runs([path])
    places = {run.path.resolve() for run in runs}
    among = [each for each in settings if places & {run.path.resolve() for run in each.runs.values()}]
    parts = among or settings_of(runs)[0]
    if not parts:
        raise UserError(f"baseline={path} has no complete run. Let one run to its end, or name another baseline.")
    tasks = [task for part in parts for task in part.tasks]
    if len(tasks) != len(set(tasks)):
        names = "; ".join(part.name for part in parts[:20])
        raise UserError(
            f"baseline={path} holds {len(parts)} settings of the same tasks: {names}. Name the directory of one of "
            "their runs."
        )
    name = parts[0].name if len(parts) == 1 and among else path.name or str(path)
    return Candidates(name, (Baseline(name, tuple(parts)),))


def _alone(settings: Sequence[Setting]) -> Baseline | None:
    single = {setting.tasks[0]: setting for setting in reversed(settings) if len(setting.tasks) == 1}
    joint = [setting for setting in settings if len(setting.tasks) > 1]
    if not joint or not all(task in single for setting in joint for task in setting.tasks):
        return None
    return Baseline(ALONE, tuple(single.values()))


def _is_called(setting: Setting, name: str) -> bool:
    words = setting.name.split(" ")
    known = {setting.name, *words, *(word.partition("=")[2] for word in words)}
    sharing = setting.values.get("sharing._target_", "")
    key, _, value = name.partition("=")
    return name in known or name in (f"sharing={_stem(sharing)}", _stem(sharing)) or setting.values.get(key) == value


def _stem(target: str) -> str:
    return target.rpartition(".")[0].rpartition(".")[2]
