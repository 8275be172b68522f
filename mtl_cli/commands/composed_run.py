"""One job: overrides in; a checked plain config and the directory of its run out."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mtl_cli.commands.compose import CONFIG_ERRORS, GROUPS, Session, plain_config, source_folders, task_clashes
from mtl_cli.commands.diagnosis import diagnose
from mtl_cli.commands.group_overrides import adds_to_a_task, regrouped
from mtl_cli.commands.messages import hydra_message
from mtl_cli.config.interpolation import get_key
from mtl_cli.config.validation import validate
from mtl_cli.errors import UserError
from mtl_cli.files import sha256, unmakeable

_LIST_CHOICE = re.compile(rf"\+*({'|'.join(sorted(GROUPS))})=\[(.*)\]")


MAX_CHOICE = 100
"""Bytes of the choice of tasks in the name of a directory."""
HONOURED = (
    *("hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir", "hydra.searchpath", "hydra.mode"),
    *("hydra.launcher", "hydra.sweeper"),
)
"""Settings of Hydra that do something here; a run's directory, its log and the sweep are this program's own."""


@dataclass(frozen=True)
class ComposedRun:
    """A checked config and the composed one that it comes from."""

    config: dict[str, Any]
    composed: DictConfig
    overrides: tuple[str, ...]
    """Those that Hydra takes: the ones typed, but for those of groups' tasks."""

    @property
    def run_dir(self) -> Path:
        """The value of hydra.run.dir.

        Raises:
            UserError: it has no value, cannot be made, or holds a run already.
        """
        path = makeable(Path(hydra_value(self.composed, "hydra.run.dir")))
        if (path / "status.json").exists():
            raise UserError(
                f"{path} holds a run already. Give another hydra.run.dir, or continue that run by resume={path}."
            )
        return path

    @property
    def lasting_dir(self) -> Path:
        """The value of hydra.run.dir where the same command means the same directory.

        Raises:
            UserError: it has no value, one that changes with the time, or one that cannot be made.
        """
        node: Any = OmegaConf.to_container(self.composed.hydra.run, resolve=False)
        if "${now:" in str(node["dir"]):
            raise UserError("resume=auto finds a run by its directory, and none is given. Add hydra.run.dir=DIR.")
        return makeable(Path(hydra_value(self.composed, "hydra.run.dir")))


def makeable(directory: Path, key: str = "hydra.run.dir") -> Path:
    """Return the directory of a run, which `key` sets, once it is known that it can be made: before anything is built.

    Raises:
        UserError: it cannot.
    """
    if reason := unmakeable(directory):
        raise UserError(
            f"Cannot make or write the run directory {directory}: {reason}. Give one that can be written: {key}=DIR."
        )
    return directory


def compose(session: Session, overrides: Sequence[str]) -> tuple[DictConfig, list[str]]:
    """Return the composed config with its `hydra` node, and the overrides that Hydra takes for the ones typed.

    Raises:
        UserError: every problem with the overrides.
    """
    lists = [match for text in overrides if (match := _LIST_CHOICE.fullmatch(text))]
    if lists:
        raise UserError([_list_message(match[0], match[1], match[2]) for match in lists])
    try:
        composed, taken = _composed(session, overrides)
    except CONFIG_ERRORS as error:
        raise UserError(diagnose(session, overrides, error)) from error
    if idle := [text for text in overrides if text.lstrip("+~").startswith("hydra.") and not _has_effect(text)]:
        used = ", ".join(HONOURED)
        raise UserError(
            [f"{text} has no effect; of Hydra's settings these have: {used}. Leave it out." for text in idle]
        )
    return composed, taken


def _composed(session: Session, overrides: Sequence[str]) -> tuple[DictConfig, list[str]]:
    """Return what overrides give: as they stand or, where they fail, with those of groups' tasks rewritten."""
    taken = regrouped(session, overrides) if adds_to_a_task(overrides) else list(overrides)
    try:
        return session.compose(taken), taken
    except CONFIG_ERRORS:
        if (again := regrouped(session, taken)) == taken:
            raise
        return session.compose(again), again


def compose_run(session: Session, overrides: Sequence[str]) -> ComposedRun:
    """Return a checked job.

    Raises:
        UserError: every problem that shows without torch.
    """
    composed, taken = compose(session, overrides)
    config = plain_config(composed)
    folders = source_folders(composed)
    problems = validate(config, folders)
    problems += task_clashes(composed.hydra.runtime.choices.get("task"), folders)
    if config.get("resume") is not None:
        problems.append("resume is set in a conf file. Give it on the command line only: resume=RUN_DIR.")
    if problems:
        raise UserError(problems)
    return ComposedRun(config, composed, tuple(taken))


def hydra_value(composed: DictConfig, key: str) -> str:
    """Return a value of the `hydra` node as text, its interpolations resolved.

    The choice of tasks is cut short in it: a name of a file system has 255 bytes.

    Raises:
        UserError: it has no value.
    """
    try:
        value = OmegaConf.select(composed, key)
    except OmegaConfBaseException as error:
        raise UserError(f"{key} has no value: {hydra_message(error)} Set {key}=DIR.") from error
    if not value:
        raise UserError(f"{key} is empty. Set {key}=DIR.")
    choice = composed.hydra.runtime.choices.get("task")
    written = get_key(OmegaConf.to_container(composed.hydra, resolve=False), key.removeprefix("hydra."))
    if isinstance(choice, str) and ":runtime.choices.task}" in str(written):
        return str(value).replace(choice, short_choice(choice))
    return str(value)


def short_choice(choice: str) -> str:
    """Return a choice of tasks a+b+… as part of a name: where it is long, its first tasks, their number and a hash."""
    if len(choice.encode()) <= MAX_CHOICE:
        return choice
    names, kept, digest = choice.split("+"), 0, sha256(choice.encode())[:8]
    while len(_cut(names, kept + 1, digest).encode()) <= MAX_CHOICE:
        kept += 1
    return _cut(names, kept, digest)


def _cut(names: Sequence[str], kept: int, digest: str) -> str:
    return "+".join([*names[:kept], f"{len(names) - kept}_more_{digest}"])


def _has_effect(text: str) -> bool:
    key = text.lstrip("+~").partition("=")[0]
    return any(key == name or key.startswith(f"{name}.") for name in HONOURED)


def _list_message(text: str, group: str, names: str) -> str:
    joined = "+".join(name.strip() for name in names.split(","))
    fix = (
        f"Join tasks by +: task={joined}." if group == "task" else f"Choose one, or sweep over them by -m {group}=A,B."
    )
    return f"{text} is a list of options. {fix}"
