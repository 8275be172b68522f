"""Settings: runs that differ in their seed or fold only, named by what sets them apart from the others."""

import math
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mtl_cli.answers.inference import Unit
from mtl_cli.answers.runs import Run
from mtl_cli.config.interpolation import leaves
from mtl_cli.config.schema import CONSOLE
from mtl_cli.report.tables import shortened

REPEATED = ("seed", "data.fold", "data.inner_fold")
"""Keys whose values are repetitions of one setting."""
SILENT = (*REPEATED, *CONSOLE, "trust", "data.workers", "trainer.threads", "trainer.log_every", "trainer.profile")
"""Keys that do not make another setting: repetitions, and what does not change results."""
SILENT_ENDS = (".cache_dir",)
SILENT_SECTIONS = ("save.",)
MOST_NOTES = 3
"""Runs of one status that are named one by one."""
LONGEST = 64
"""Letters of a setting's name that is made of what sets it apart."""
FIRST = ("merge", "sharing", "weighting")
"""Keys that stand first in a name, which may be too long for all of them."""
LONGEST_WORD, LONGEST_KEY = 26, 16
"""Letters of each word of a name that would be longer, and of the key in it."""
Key = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Setting:
    """The complete runs of one setting, by seed and fold."""

    name: str
    values: Mapping[str, str]
    """Every value of its config by dotted key, but those of repetitions."""
    runs: Mapping[Unit, Run]

    def measured(self, metric: str, split: str) -> dict[Unit, float]:
        """Return a metric "<task>/<metric>" of the runs that have it."""
        found = {unit: getattr(run, split).get(metric) for unit, run in self.runs.items()}
        return {unit: value for unit, value in found.items() if value is not None and value == value}

    @property
    def first(self) -> Run:
        """The run of the first seed."""
        return next(iter(self.runs.values()))

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks, without those of groups."""
        return self.first.tasks

    @property
    def folds(self) -> int | None:
        """Number of folds of its cross-validation."""
        data = self.first.config.get("data")
        found = [data.get(key) or 1 for key in ("folds", "inner_folds")] if isinstance(data, Mapping) else []
        folds = math.prod(each for each in found if isinstance(each, int))
        return folds if folds > 1 else None


def settings_of(runs: Sequence[Run]) -> tuple[list[Setting], list[str]]:
    """Return the settings of the complete runs by name, and what had to be left out, in words."""
    grouped: dict[Key, dict[Unit, Run]] = {}
    notes = list(left_out([run for run in runs if not run.completed]))
    for run in runs:
        if not run.completed:
            continue
        own = grouped.setdefault(tuple(sorted(setting_values(run.config).items())), {})
        if run.unit in own:
            notes.append(f"{run.path} is left out: {own[run.unit].path} has the same setting, seed and fold.")
        else:
            own[run.unit] = run
    values = [setting_values(next(iter(own.values())).config) for own in grouped.values()]
    names = setting_names(values, [next(iter(own.values())).tasks for own in grouped.values()])
    ordered = [
        dict(sorted(own.items(), key=lambda item: (item[0].seed, item[0].fold or 0))) for own in grouped.values()
    ]
    settings = [Setting(*each) for each in zip(names, values, ordered, strict=True)]
    return sorted(settings, key=lambda setting: natural(setting.name)), notes


def left_out(runs: Sequence[Run]) -> Iterator[str]:
    """Yield which runs are not complete, in words: one by one, or many of one status together."""
    by_status: dict[str, list[Run]] = {}
    for run in runs:
        by_status.setdefault(run.status, []).append(run)
    for status, own in by_status.items():
        if len(own) > MOST_NOTES:
            yield f"{len(own)} runs are left out: they are {status}, such as {own[0].path}."
            continue
        for run in own:
            yield f"{run.path} is left out: it is {status}{': ' + run.reason.rstrip('.') if run.reason else ''}."


def natural(text: str) -> list[tuple[int, float, str]]:
    """Return a key that sorts numbers in texts by their value."""
    parts = re.split(r"(\d+(?:\.\d+)?(?:e[-+]?\d+)?)", text)
    return [(1, float(part), "") if index % 2 else (0, 0.0, part) for index, part in enumerate(parts)]


def setting_values(config: Mapping[str, Any]) -> dict[str, str]:
    """Return the values of a config that make its setting, as text by dotted key."""
    return {
        key: written(value)
        for key, value in leaves(config)
        if key not in SILENT and not key.startswith(SILENT_SECTIONS) and not key.endswith(SILENT_ENDS)
    }


def written(value: object) -> str:
    """Return a value as it is typed on a command line, lists without blanks and quotes."""
    return f"[{','.join(map(written, value))}]" if isinstance(value, list) else str(value)


def setting_names(values: Sequence[Mapping[str, str]], tasks: Sequence[Sequence[str]]) -> list[str]:
    """Return a name for each setting: the values that set it apart, in the words of the command line."""
    apart = [key for key in dict.fromkeys(key for each in values for key in each) if _differs(key, values)]
    apart.sort(key=lambda key: not key.startswith(FIRST))
    several = len({tuple(each) for each in tasks}) > 1
    found = []
    for own, own_tasks in zip(values, tasks, strict=True):
        words = [f"task={'+'.join(own_tasks)}"] if several else []
        words += [
            _word(key, own[key])
            for key in apart
            if key in own and _tells(key, own, values) and not (several and _of_absent_task(key, values))
        ]
        found.append(words)
    if any(len(" ".join(words)) > LONGEST for words in found):
        found = [[word.removeprefix("tasks.") for word in words] for words in found]
    names: list[str] = []
    for words in found:
        name = " ".join(words) or "all runs"
        if len(name) > LONGEST:
            name = " ".join(map(_shortened, words))
        if len(name) > LONGEST:
            name = textwrap.wrap(name, LONGEST - 2, break_on_hyphens=False)[0] + " …"
        same = sum(other == name or other.startswith(f"{name} (") for other in names)
        names.append(f"{name} ({same + 1})" if same else name)
    return names


def _shortened(word: str) -> str:
    """Return key=value, the middle of each left out where it is long, such as the names of many tasks."""
    if len(word) <= LONGEST_WORD:
        return word
    key, equals, value = word.partition("=")
    key = shortened(key, LONGEST_KEY) + equals
    return key + shortened(value, LONGEST_WORD - len(key))


def _differs(key: str, values: Sequence[Mapping[str, str]]) -> bool:
    return len({own.get(key) for own in values}) > 1


def _tells(key: str, own: Mapping[str, str], values: Sequence[Mapping[str, str]]) -> bool:
    """Whether a value sets a setting apart from others that have the same components above it."""
    target = next((f"{node}._target_" for node in _nodes_above(key) if f"{node}._target_" in own), None)
    if target is None or key == target:
        return True
    return len({other.get(key) for other in values if other.get(target) == own[target]}) > 1


def _nodes_above(key: str) -> list[str]:
    parts = key.split(".")
    return [".".join(parts[:length]) for length in range(len(parts) - 1, 0, -1)]


def _of_absent_task(key: str, values: Sequence[Mapping[str, str]]) -> bool:
    """Whether a key is that of a task which some settings do not have, and is the same in all that have it."""
    return key.startswith("tasks.") and len({own[key] for own in values if key in own}) == 1


def _word(key: str, value: str) -> str:
    """Return `sharing=hard` for the target of a component, else `key=value`."""
    if not key.endswith("._target_"):
        return f"{key}={value}"
    module, _, name = value.rpartition(".")
    return f"{key.removesuffix('._target_')}={module.rpartition('.')[2] if module.startswith('mtl_cli.') else name}"


def primaries(settings: Sequence[Setting]) -> list[str]:
    """Return one metric of each task: the primary one where runs name it, else the first that is not a loss."""
    primary = settings[0].first.summary.get("primary")
    primary = primary if isinstance(primary, Mapping) else {}
    found: dict[str, str] = {}
    names = [name for setting in settings for name in setting.first.val if not name.endswith("/loss")]
    for task in dict.fromkeys(task for setting in settings for task in setting.tasks):
        own = [name for name in names if name.startswith(f"{task}/")]
        entry = primary.get(task)
        wanted = f"{task}/{entry.get('metric')}" if isinstance(entry, Mapping) else ""
        if own:
            found[task] = wanted if wanted in own else own[0]
    return list(found.values())
