"""Overrides of a task of a group, such as tasks.NR_AR.weight=2, as overrides of the node that stands for the group."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from omegaconf import OmegaConf

from mtl_cli.commands.compose import CONFIG_ERRORS, Session
from mtl_cli.config.interpolation import has_key
from mtl_cli.config.task_groups import entries, group_of, key_in_group, task_has, task_node

_OF_A_TASK = re.compile(r"(\+{0,2}|~)(tasks\.[^=@:]+)(.*)", re.DOTALL)


def adds_to_a_task(overrides: Sequence[str]) -> bool:
    """True where an override would make a task node of its own for a task that a group has: it does not fail."""
    return any(text.startswith("+") and _OF_A_TASK.fullmatch(text) for text in overrides)


def regrouped(session: Session, overrides: Sequence[str]) -> list[str]:
    """Return overrides in which those of a group's tasks are overrides of the group's node; the others as they are."""
    of_tasks = [text for text in overrides if _OF_A_TASK.fullmatch(text)]
    others = tuple(text for text in overrides if text not in of_tasks)
    if not of_tasks:
        return list(overrides)
    if others not in session.tasks:
        try:
            tasks = OmegaConf.to_container(session.compose(others).tasks, resolve=False)
        except CONFIG_ERRORS:  # diagnosis reports it
            tasks = {}
        assert isinstance(tasks, dict)
        session.tasks[others] = tasks
    found: list[str] = []
    for text in overrides:
        own = in_group(text, session.tasks[others])
        left_out = any(f"{own.lstrip('+')}.".startswith(f"{each[1:]}.") for each in found if each.startswith("~tasks."))
        found.append(text if left_out else own)  # a task that is left out cannot be changed
    return found


def in_group(text: str, tasks: Mapping[Any, Any]) -> str:
    """Return an override of a group's task as one of the group's node; any other as it is, also of unknown keys."""
    parts = _OF_A_TASK.fullmatch(text)
    own = parts and key_in_group(tasks, parts[2])
    if not (parts and own):
        return text
    prefix, key, value = parts.groups()
    if prefix == "~":
        return f"~{own}{value}" if has_key({"tasks": tasks}, own) else text
    if prefix == "" and not task_has(tasks, key):
        return text
    return f"++{own}{value}"


def shared_key(text: str, tasks: Mapping[Any, Any]) -> str | None:
    """Return the group's key where an override leaves out what a task has from its group; None for any other one."""
    parts = _OF_A_TASK.fullmatch(text)
    if not parts or parts[1] != "~" or not task_has(tasks, parts[2]):
        return None
    task, _, rest = parts[2].partition(".")[2].partition(".")
    return f"tasks.{group_of(tasks, task)}.{rest}"


def with_group_tasks(tasks: Mapping[str, Any]) -> dict[str, Any]:
    """Return task nodes together with those of each group's tasks, to look for the nearest key in."""
    found = dict(tasks)
    for node in tasks.values():
        found |= {task: task_node(node, task) for task in entries(node) if group_of(tasks, task)}
    return found
