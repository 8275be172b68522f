"""Finds what is wrong with a plain config, without torch and without reading data."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mtl_cli.config.annotations import Rule, describe, fits, misfit, problem
from mtl_cli.config.interpolation import get_key, has_key, leaves, resolve
from mtl_cli.config.schema import COMPONENTS, KNOWN_KEYS, knobs, sections
from mtl_cli.config.shipped import conf_dir, default_nodes, target_nodes
from mtl_cli.config.task_groups import METRICS, READING, TASK_NAME, distinct_nodes, group_problems, task_names
from mtl_cli.errors import UserError, nearest, some


def validate(config: Mapping[str, Any], folders: Sequence[Path] = ()) -> list[str]:
    """Return every problem: each says what is wrong, the value found, and the override that fixes it.

    `folders` are conf folders besides the shipped one; free values are compared with the defaults in all of them.
    """
    try:
        plain = resolve(config)
    except UserError as error:
        return error.problems
    if missing := [f"{key} has no value (???). Set {key}=VALUE." for key, value in leaves(plain) if value == "???"]:
        return missing
    names, groups = task_names(plain.get("tasks")), list(group_problems(plain.get("tasks")))
    if groups:
        return groups
    if isinstance(tasks := plain.get("tasks"), Mapping):
        plain["tasks"] = distinct_nodes(tasks)
    return list(
        dict.fromkeys(
            [
                *_unknown_keys(plain),
                *_knob_problems(plain),
                *_together(plain, names),
                *_task_problems(plain.get("tasks")),
                *_component_problems(plain),
                *_type_problems(plain, [conf_dir(), *folders]),
            ]
        )
    )


def _unknown_keys(config: Mapping[str, Any]) -> Iterator[str]:
    for key in config:
        if key not in KNOWN_KEYS:
            yield f"The config has an unknown key '{key}'.{nearest(str(key), KNOWN_KEYS)} Leave it out: ~{key}."
    for section, names in sections().items():
        values = config.get(section)
        for name in values if isinstance(values, Mapping) else ():
            if name not in names:
                hint = nearest(str(name), names)
                yield f"{section} has an unknown key '{name}'.{hint} Leave it out: ~{section}.{name}."


def _knob_problems(config: Mapping[str, Any]) -> Iterator[str]:
    for key, knob in knobs().items():
        if not has_key(config, key):
            yield f"The config has no {key}; it is {knob.described}. Leave out what removes it (~{key})."
            continue
        yield from filter(None, [knob.problem(get_key(config, key))])


def _together(config: Mapping[str, Any], names: Sequence[str]) -> Iterator[str]:
    """Yield problems between two knobs, or between a knob and the tasks; `names` are those of tasks and groups."""
    trainer = config.get("trainer")
    if isinstance(trainer, Mapping) and trainer.get("max_epochs", 0) is trainer.get("max_steps", 0) is None:
        yield "trainer.max_epochs and trainer.max_steps are both null, so the run has no end. Use trainer.max_epochs=6."
    yield from _fold_problems(config.get("data"), config.get("tasks"))
    yield from _privacy_problems(config.get("privacy"))
    if config.get("verbose") is True and config.get("quiet") is True:
        yield "verbose and quiet are both true. Use one of them."
    for key in ("selection.metric", "early_stopping.metric"):
        metric = get_key(config, key) if has_key(config, key) else None
        if isinstance(metric, str) and names:
            yield from _metric_problem(key, metric, names)


def _privacy_problems(privacy: object) -> Iterator[str]:
    if not isinstance(privacy, Mapping):
        return
    epsilon, delta, noise = (privacy.get(key) for key in ("epsilon", "delta", "noise"))
    if epsilon is None and noise is None:
        ignored = [f"privacy.{key}={privacy[key]}" for key, usual in (("delta", None), ("clip_norm", 1.0))
                   if privacy.get(key, usual) != usual]  # fmt: skip
        if ignored:
            yield (
                f"{ignored[0]} would be ignored: nothing asks for privacy. "
                "Use for example privacy.epsilon=3 privacy.delta=1e-5."
            )
    elif epsilon is not None and noise is not None:
        yield f"privacy.noise is {noise}, and privacy.epsilon={epsilon} sets the noise too. Use one of them."
    elif delta is None:
        asked = f"privacy.noise={noise}" if epsilon is None else f"privacy.epsilon={epsilon}"
        yield (
            f"{asked} needs privacy.delta, which is less than one over the number of training rows. "
            "Use for example privacy.delta=1e-5."
        )


def _fold_problems(data: object, tasks: object) -> Iterator[str]:
    if not isinstance(data, Mapping) or not isinstance(tasks, Mapping):
        return
    folds, fold = data.get("folds"), data.get("fold", 0)
    if folds is None and fold:
        yield f"data.fold is {fold}, but data.folds is null, so it would be ignored. Use for example data.folds=5."
    elif isinstance(folds, int) and isinstance(fold, int) and fold >= folds:
        yield f"data.fold is {fold} of data.folds={folds}; folds are counted from 0. Use data.fold={folds - 1}."
    yield from _inner_fold_problems(data)
    datasets = [node.get("dataset") for node in tasks.values() if isinstance(node, Mapping)]
    if folds is not None and not any(isinstance(node, Mapping) and node.get("folds") for node in datasets):
        yield f"data.folds is {folds}, but no dataset here is divided into folds. Use data.folds=null."


def _inner_fold_problems(data: Mapping[str, Any]) -> Iterator[str]:
    folds, fold, together = data.get("inner_folds"), data.get("inner_fold", 0), data.get("train_on") == "train+val"
    if folds is None and fold:
        yield (
            f"data.inner_fold is {fold}, but data.inner_folds is null, so it would be ignored. "
            "Use for example data.inner_folds=5."
        )
    elif isinstance(folds, int) and isinstance(fold, int) and fold >= folds:
        yield f"data.inner_fold is {fold} of data.inner_folds={folds}; folds are counted from 0."
    if folds is not None and together:
        yield f"data.train_on=train+val leaves no rows for a fold of data.inner_folds={folds}. Drop one of them."


def _metric_problem(key: str, metric: str, tasks: Sequence[str]) -> Iterator[str]:
    task, slash, name = metric.partition("/")
    if metric == "skill" or (slash and name and task in tasks) or (metric, key) == ("last", "selection.metric"):
        return
    known = f"'skill' or <task>/<metric> with a task of {some(tasks)}"
    hint = nearest(task, tasks) if slash else nearest(metric, ["skill"])
    yield f"{key} is '{metric}'; it is {known}.{hint} Use for example {key}=skill."


def _task_problems(tasks: object) -> Iterator[str]:
    if not isinstance(tasks, Mapping):
        why = "Leave tasks= out; mtl-train chooses some by task=mnist_digits+letters."
        yield f"tasks is {tasks!r}, which names no tasks. {why}"
        return
    if not tasks:
        yield "No task is selected. Leave one of them in, or choose others by task=mnist_digits+letters."
    weights = []
    for name, node in tasks.items():
        if not (isinstance(name, str) and TASK_NAME.fullmatch(name)):
            yield f"A task is named '{name}'; a name is letters, digits, _ and -. Rename it."
        if not isinstance(node, Mapping):
            yield f"tasks.{name} is {node!r}, which is not a task. Choose it by task={name}."
        elif "weight" in node:
            weights.append(node["weight"])
            yield from filter(None, [problem(f"tasks.{name}.weight", node["weight"], float, Rule(low=0.0), 1)])
    if weights and len(weights) == len(tasks) and all(fits(weight, float) and weight == 0 for weight in weights):
        first = next(iter(tasks))
        yield f"Every task has weight 0, so nothing is trained. Use for example tasks.{first}.weight=1."


def _component_problems(config: Mapping[str, Any]) -> Iterator[str]:
    for name in COMPONENTS:
        node = config.get(name)
        if name == "tasks":
            continue
        if not isinstance(node, Mapping) or not node:
            yield f"No {name} is chosen: it is {node!r}. Choose one by {name}=OPTION; mtl-train --help lists them."
        elif not isinstance(node.get("_target_"), str):
            yield f"{name} has no _target_ that names its class. Choose an option by {name}=OPTION."
    tasks = config.get("tasks")
    for name, node in tasks.items() if isinstance(tasks, Mapping) else ():
        if isinstance(node, Mapping) and not isinstance(node.get("_target_"), str):
            yield f"tasks.{name} has no _target_ that names its class. Choose a task that has one: task=NAME."


def _type_problems(config: Mapping[str, Any], folders: Sequence[Path]) -> Iterator[str]:
    """Yield free values whose type is not that of their default in the conf files."""
    components = {name: config[name] for name in COMPONENTS if name in config}
    targets = sorted({node["_target_"] for node in target_nodes(components)})
    defaults = default_nodes(targets, folders)
    for at, node in _targets_with_keys(components, "", set()):
        shipped = defaults.get(node["_target_"], [])
        for key, value in node.items():
            known = [other[key] for other in shipped if key in other]
            if known and key not in ("_target_", "weight", METRICS, *READING):
                yield from _type_problem(f"{at}.{key}", value, known)


def _targets_with_keys(tree: object, at: str, seen: set[int]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield each node with a `_target_`, and its key; a node that the tasks of a group share is yielded once."""
    if isinstance(tree, Mapping) and id(tree) not in seen:
        seen.add(id(tree))
        if isinstance(tree.get("_target_"), str):
            yield at, tree
        for key, value in tree.items():
            yield from _targets_with_keys(value, f"{at}.{key}" if at else str(key), seen)


def _type_problem(key: str, value: object, defaults: Sequence[Any]) -> Iterator[str]:
    hints = [like(default) for default in defaults]
    if value is not None and not any(fits(value, hint) for hint in hints):
        yield misfit(key, value, describe(hints[0]), defaults[0])


def like(default: object) -> Any:  # noqa: ANN401  an annotation
    """Return the annotation of the values that may replace a default, as far as the default shows it."""
    if default is None or default == "???" or (isinstance(default, str) and "${" in default):
        return Any
    if isinstance(default, bool):
        return bool
    if isinstance(default, str):
        return str | int | float  # such as "longest" or a number of steps
    if isinstance(default, int | float):
        return float
    if isinstance(default, list):
        return list[like(default[0])] if default else list  # type: ignore[misc]  # made from data
    return Mapping
