"""Reading runs: what their directories say, as data, whatever version wrote them."""

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from mtl_cli.answers.inference import Unit
from mtl_cli.config.interpolation import resolve
from mtl_cli.config.run_config import load_run_config
from mtl_cli.errors import UserError
from mtl_cli.files import read_json, read_small
from mtl_cli.storage.records import read_records

DEPTH = 5
"""Folders below the one that is named in which runs are looked for."""
MERGED = "merge.json"
"""What a run directory has that was not trained but merged from others: by which method."""
MERGINGS = ("task_arithmetic", "ties")
ERRORS = ("loss", "error", "_err", "mae", "mse", "deviance", "angle_", "count_rel")
"""Parts of the names of metrics that are better when lower: for runs from before summaries said which are."""
COSTS = {"parameters": "parameters", "flops": "FLOPs", "samples_per_second": "samples/s", "seconds": "seconds"}


@dataclass(frozen=True)
class DataFacts:
    """What is known of one dataset of a run: rows by split, digests of files by name, and its options."""

    rows: Mapping[str, int] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """One run directory."""

    path: Path
    config: Mapping[str, Any]
    status: str
    reason: str
    unit: Unit
    val: Mapping[str, float]
    test: Mapping[str, float]
    lower: frozenset[str]
    """Metrics "<task>/<metric>" that are better when lower."""
    groups: Mapping[str, Sequence[str]]
    tasks: tuple[str, ...]
    costs: Mapping[str, float]
    """By the keys of COSTS."""
    data: Mapping[str, DataFacts]
    summary: Mapping[str, Any]

    @property
    def completed(self) -> bool:
        """True where the run came to its end."""
        return self.status == "completed"

    @cached_property
    def records(self) -> list[dict[str, Any]]:
        """The records of metrics.jsonl; none where it is damaged or missing."""
        return _records(self.path)

    @cached_property
    def environment(self) -> Mapping[str, Any]:
        """environment.json."""
        return read_json(self.path / "environment.json")


def find_runs(paths: Sequence[Path]) -> list[Run]:
    """Return the runs in directories of runs and sweeps, each once.

    Raises:
        UserError: a path does not exist or holds no run, or a run cannot be read.
    """
    folders: dict[Path, Path] = {}
    problems = []
    for path in paths:
        if not path.exists():
            problems.append(f"No run or sweep at {path}. Give an existing directory.")
            continue
        found = list(_run_folders(path))
        folders |= {folder.resolve(): folder for folder in found if folder.resolve() not in folders}
        if not found:
            problems.append(
                f"{path} holds no run: no config.yaml with status.json in it or up to {DEPTH} folders below. Give the "
                "directory of a run or of a sweep."
            )
    runs = []
    for folder in folders.values():
        try:
            runs.append(read_run(folder))
        except UserError as error:
            problems += error.problems
    if problems:
        raise UserError(problems)
    return runs


def _run_folders(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        return
    for place, folders, names in os.walk(path):
        if "config.yaml" in names and ("status.json" in names or "metrics.jsonl" in names):
            folders.clear()
            yield Path(place)
        elif len(Path(place).relative_to(path).parts) >= DEPTH:
            folders.clear()
        folders.sort()


def read_run(path: Path) -> Run:
    """Return what a run directory says; one of an older version has its metrics in metrics.jsonl only.

    Raises:
        UserError: its config cannot be read.
    """
    try:
        config = load_run_config(read_small(path / "config.yaml"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"Cannot read {path / 'config.yaml'}: {error}.") from error
    except UserError as error:
        raise UserError([f"{path}: {problem}" for problem in error.problems]) from error
    if (method := read_json(path / MERGED).get("method")) in MERGINGS:
        config = {**config, "merge": method}  # a value that sets it apart from joint training
    status, summary = read_json(path / "status.json"), read_json(path / "summary.json")
    if summary:
        val, test = _numbers(summary.get("best_val")), _numbers(summary.get("test"))
    else:
        val, test = _from_records(path)
    return Run(
        path=path,
        config=config,
        status=str(status.get("status") or "pending"),
        reason=str(status.get("reason") or ""),
        unit=_unit(config),
        val=val,
        test=test,
        lower=_lower(summary, [*val, *test]),
        groups=_groups(config),
        tasks=_tasks(config),
        costs=_costs(summary),
        data=_data(summary, config),
        summary=summary,
    )


def metric_names(run: Run, split: str) -> list[str]:
    """Return the metrics "<task>/<metric>" of a run that are numbers, without losses and means of groups."""
    return [
        name
        for name, value in getattr(run, split).items()
        if not math.isnan(value) and not name.endswith("/loss") and name.partition("/")[0] not in run.groups
    ]


def _from_records(path: Path) -> tuple[dict[str, float], dict[str, float]]:
    """Return the metrics on validation and test data of a run without a summary: those of the best checkpoint."""
    records = _records(path)
    tests = [record for record in records if record.get("split") == "test"]
    step = tests[-1].get("step") if tests else read_json(path / "checkpoints" / "best.json").get("step")
    val = [record for record in records if record.get("split") == "val" and record.get("step") == step]
    return _numbers(val[-1].get("metrics") if val else {}), _numbers(tests[-1].get("metrics") if tests else {})


def _records(path: Path) -> list[dict[str, Any]]:
    try:
        return [record for record in read_records(path / "metrics.jsonl") if isinstance(record, dict)]
    except (ValueError, OSError, RecursionError):
        return []


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _numbers(values: object) -> dict[str, float]:
    return {str(name): float(v) if isinstance(v, int | float) else math.nan for name, v in _mapping(values).items()}


def _unit(config: Mapping[str, Any]) -> Unit:
    data = _mapping(config.get("data"))
    seed, fold = config.get("seed", 0), None
    for folds, number in (("folds", "fold"), ("inner_folds", "inner_fold")):  # inner folds of a fold count on
        if isinstance(data.get(folds), int) and isinstance(data.get(number, 0), int):
            fold = (fold or 0) * data[folds] + data.get(number, 0)
    return Unit(seed if isinstance(seed, int) else 0, fold)


def _groups(config: Mapping[str, Any]) -> dict[str, list[str]]:
    targets = {name: _mapping(node).get("targets") for name, node in _mapping(config.get("tasks")).items()}
    return {str(name): [str(task) for task in each] for name, each in targets.items() if isinstance(each, Mapping)}


def _tasks(config: Mapping[str, Any]) -> tuple[str, ...]:
    groups = _groups(config)
    return tuple(task for name in map(str, _mapping(config.get("tasks"))) for task in groups.get(name, [name]))


def _costs(summary: Mapping[str, Any]) -> dict[str, float]:
    def total(key: str) -> Any:  # noqa: ANN401  any JSON value
        value = summary.get(key)
        return value.get("total") if isinstance(value, Mapping) else value

    return _numbers({key: total(key) for key in COSTS})


def _data(summary: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, DataFacts]:
    """Return what is known of the data of each task, or group of tasks, of the config."""
    datasets, groups = map(_mapping, _mapping(summary.get("data")).values()), _groups(config)
    by_task = {str(task): each for each in datasets for task in each.get("tasks") or ()}
    facts = {}
    for name, node in _mapping(config.get("tasks")).items():
        known = by_task.get(next(iter(groups.get(str(name), [str(name)])), ""), {})
        parts = known.get("rows"), known.get("files"), _mapping(node).get("dataset")
        facts[str(name)] = DataFacts(*map(_mapping, parts))
    return facts


def _lower(summary: Mapping[str, Any], names: Sequence[str]) -> frozenset[str]:
    """Return the metrics that are better when lower; by their names, where the run does not say."""
    told = summary.get("lower_is_better")
    if isinstance(told, list):
        return frozenset(map(str, told))
    return frozenset(name for name in names if any(word in name.partition("/")[2].lower() for word in ERRORS))


def resolved(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config with its references to other keys replaced by their values, where they can be."""
    try:
        return resolve(dict(config))
    except UserError:
        return dict(config)
