"""Task nodes that stand for many tasks: `targets` maps the name of each task to its own values.

`tasks.assay: {_target_: …, targets: {NR_AR: {}, NR_ER: {weight: 2.0}}, weight: 1.0, …}` is the same as a node
`tasks.NR_AR` and a node `tasks.NR_ER`. Each has the values of `assay`, into which its own values are merged deeply. The
config that is written keeps the one node; it is expanded after its interpolations are resolved.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mtl_cli.config.interpolation import has_key, split_key

TASK_NAME = re.compile(r"\w[\w-]*")
READING = ("column", "columns", "classes", "missing", "ignore_case", "separator", "weight_column", "unseen", "values",
           "pieces", "points", "swapped")  # fmt: skip
"""Keys of a task's node that say how its label field is read, unless its class takes an argument of that name."""
METRICS = "metrics"
"""Key of a task's node that names the metrics which are reported, the first of them being the one that it is selected
by, unless its class takes an argument of that name."""
GROUPS = "task_groups"
"""Key of an expanded config that lists the tasks of each group. A config that is written never has it."""


def expand(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a resolved config in which each group of tasks is one node per task, and that lists them by group."""
    tasks: dict[str, Any] = {}
    groups: dict[str, list[str]] = {}
    for name, node in config["tasks"].items():
        if not is_group(node):
            tasks[name] = node
            continue
        groups[name] = list(node["targets"])
        tasks |= {task: task_node(node, task) for task in node["targets"]}
    return {**config, "tasks": tasks, GROUPS: groups} if groups else dict(config)


def is_group(node: object) -> bool:
    """True for a task node that stands for many tasks."""
    return isinstance(node, Mapping) and "targets" in node


def task_node(group: Mapping[str, Any], task: str) -> dict[str, Any]:
    """Return the node of one task of a group; values that the task does not change are shared with the group's node."""
    shared = {key: value for key, value in group.items() if key != "targets"}
    return merged({**shared, "target": task}, group["targets"][task] or {})


def merged(node: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return a node with the values `own` merged in: mappings are merged key by key, all other values are replaced."""
    result = dict(node)
    for key, value in own.items():
        old = node.get(key)
        result[key] = merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result


def task_names(tasks: object) -> list[str]:
    """Return the names of all tasks and groups in order, each group before its tasks."""
    names = []
    for name, node in tasks.items() if isinstance(tasks, Mapping) else ():
        names.append(str(name))
        names += [str(task) for task in entries(node)]
    return names


def entries(node: object) -> Mapping[str, Any]:
    """Return the tasks of a group with their own values; nothing for a node that is not a group, or a broken one."""
    targets = node.get("targets") if isinstance(node, Mapping) else None
    return targets if isinstance(targets, Mapping) else {}


def distinct_nodes(tasks: Mapping[str, Any]) -> dict[str, Any]:
    """Return the nodes to check: each group once, without its targets, and its tasks that have values of their own.

    Thus a mistake in a group is reported once, under the name of the group, and not once per task.
    """
    nodes: dict[str, Any] = {}
    for name, node in tasks.items():
        nodes[name] = {key: value for key, value in node.items() if key != "targets"} if is_group(node) else node
        own = {task: values for task, values in entries(node).items() if isinstance(values, Mapping) and values}
        nodes |= {task: task_node(node, task) for task in own if task not in tasks}
    return nodes


def group_problems(tasks: object) -> Iterator[str]:
    """Yield what is wrong with groups: targets that are not a mapping of names to values, and names given twice."""
    places: dict[str, str] = {}
    for name, node in tasks.items() if isinstance(tasks, Mapping) else ():
        owned = {str(name): f"tasks.{name}"}
        if is_group(node):
            yield from _targets_problems(str(name), node)
            owned |= {str(task): f"tasks.{name}.targets.{task}" for task in entries(node) if str(task) != str(name)}
            if name in entries(node):
                yield (
                    f"tasks.{name} and a task of it have the same name, so '{name}/loss' would mean two things. Give "
                    f"the node another name, such as tasks.{name}_group."
                )
        for task, place in owned.items():
            if task in places:
                yield (
                    f"Two tasks are named '{task}': {places[task]} and {place}. Rename one; a target of another name "
                    f"says which column it is read from: {{column: {task}}}."
                )
            places.setdefault(task, place)


def _targets_problems(name: str, node: Mapping[str, Any]) -> Iterator[str]:
    where, targets = f"tasks.{name}.targets", node["targets"]
    if not isinstance(targets, Mapping):
        yield (
            f"{where} is {str(targets)[:60]}; it maps the name of each task to its own values, such as "
            f"{{NR_AR: {{}}, NR_ER: {{weight: 2.0}}}}."
        )
        return
    if not targets:
        yield f"{where} is empty, so it names no task. Leave the whole group out: ~tasks.{name}."
    if "target" in node:
        yield f"tasks.{name} has target beside targets. Leave out target: each task has its own name as target."
    for task, values in targets.items():
        if not (isinstance(task, str) and TASK_NAME.fullmatch(task)):
            yield (
                f"{where} names a task '{task}'; a name is letters, digits, _ and -. Give it another name, and its "
                f"column by {{column: {task}}}."
            )
        elif values is not None and not isinstance(values, Mapping):
            yield f"{where}.{task} is {values!r}; it is a mapping of the task's own values, {{}} where it has none."
        elif values and "targets" in values:
            yield f"{where}.{task}.targets is a group in a group. List its tasks in {where}."


def group_of(tasks: object, task: str) -> str | None:
    """Return the group that has a task of this name; None where the name is a node of its own, or unknown."""
    if not isinstance(tasks, Mapping) or task in tasks:
        return None
    return next((str(name) for name, node in tasks.items() if task in entries(node)), None)


def key_in_group(tasks: object, key: str) -> str | None:
    """Return the key in a group's node that a key of one of its tasks stands for, or None for any other key.

    `tasks.NR_AR.weight` is `tasks.assay.targets.NR_AR.weight`.
    """
    section, _, rest = key.partition(".")
    parts = split_key(rest)
    group = group_of(tasks, parts[0]) if section == "tasks" and parts else None
    return None if group is None else f"tasks.{group}.targets.{rest}"


def task_has(tasks: Mapping[str, Any], key: str) -> bool:
    """True where the node of a group's task, the group's values included, holds a key such as tasks.NR_AR.weight."""
    task, _, rest = key.partition(".")[2].partition(".")
    group = group_of(tasks, task)
    return group is not None and (not rest or has_key(task_node(tasks[group], task), rest))


def once_per_group(problems: Sequence[str], groups: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the problems; one that all tasks of a group have is listed once, under the name of the group."""
    group_by_task = {task: group for group, tasks in groups.items() for task in tasks}
    found: dict[str, list[str]] = {}
    of_group: dict[str, str] = {}
    for problem in problems:
        match = re.match(r"tasks\.([\w-]+)", problem)
        group = group_by_task.get(match[1]) if match else None
        shared = re.sub(rf"\btasks\.{re.escape(match[1])}\b", f"tasks.{group}", problem) if match and group else problem
        found.setdefault(shared, []).append(problem)
        if group:
            of_group[shared] = group
    result: list[str] = []
    for shared, alike in found.items():
        everyone = shared in of_group and len(alike) == len(groups[of_group[shared]])
        result += [shared] if everyone else alike
    return result
