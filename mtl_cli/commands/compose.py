"""From overrides to a plain config: Hydra composes, resolver calls become values, node interpolations stay."""

import functools
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hydra
import yaml
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mtl_cli.commands import hydra_plugin
from mtl_cli.config.interpolation import escaped
from mtl_cli.config.schema import COMPONENTS, KNOWN_KEYS
from mtl_cli.config.shipped import conf_dir, group_options, read_yaml
from mtl_cli.errors import UserError

GROUPS = frozenset({"task", "experiment", *COMPONENTS} - {"tasks"})
"""The groups that the primary config chooses from; there may be no file in them yet."""
CONFIG_ERRORS = (
    *(HydraException, OmegaConfBaseException, UserWarning, yaml.YAMLError),
    *(OSError, ValueError, AssertionError, TypeError, KeyError, AttributeError, RecursionError, OverflowError),
)
"""What Hydra and OmegaConf raise for a config that is wrong; not all of it is meant for users."""
_RESOLVER_CALL = re.compile(r"(?<!\\)(?:\\\\)*\$\{\s*[\w.]+\s*:")


def version_base() -> dict[str, str]:
    """Return the version_base argument for the installed Hydra; 1.4 deprecates it."""
    major, minor = (int(part) for part in hydra.__version__.split(".")[:2])
    return {"version_base": "1.3"} if (major, minor) < (1, 4) else {}


@dataclass(frozen=True)
class Session:
    """Hydra, set up with the search path of one command."""

    config_name: str
    config_dir: Path | None
    tasks: dict[tuple[str, ...], dict[Any, Any]] = field(default_factory=dict, compare=False)
    """The task nodes that some overrides give, by these; a sweep asks for the same again and again."""

    @property
    def loader(self) -> ConfigLoader:
        """Hydra's view of the conf folders."""
        return GlobalHydra.instance().config_loader()

    @property
    def folders(self) -> list[Path]:
        """The conf folders of the command line."""
        return [conf_dir(), *([self.config_dir] if self.config_dir else [])]

    @functools.cached_property
    def groups(self) -> list[str]:
        """Every group in the folders of the command line, and those of the primary config."""
        return sorted({*group_options(self.folders), *GROUPS})

    def is_group(self, name: str) -> bool:
        """Return whether a key of the command line chooses an option of a group."""
        if "." in name or not name or name in KNOWN_KEYS - GROUPS:
            return False
        return name in self.groups or bool(self.options(name)) or bool(self.loader.list_groups(name))

    def options(self, group: str) -> list[str]:
        """Return the options of a group."""
        return sorted(self.loader.get_group_options(group))

    def compose(self, overrides: Sequence[str]) -> DictConfig:
        """Return the composed config, with its `hydra` node.

        Raises:
            HydraException, OmegaConfBaseException: the first thing wrong; `diagnosis` finds the others.
        """
        with warnings.catch_warnings():
            warnings.filterwarnings("error", r".*is not available", UserWarning)  # a folder of hydra.searchpath
            config = hydra.compose(self.config_name, list(overrides), return_hydra_config=True)
        HydraConfig.instance().set_config(config)
        return config


def refuse_shadowed(folder: Path) -> None:
    """Refuse a conf folder with an option that never takes effect, since one that ships has its name.

    Raises:
        UserError: every such file, unless it says the same as the one that ships.
    """
    problems = []
    for file in sorted(folder.glob("*/*.yaml")):
        shipped = conf_dir() / file.relative_to(folder)
        if shipped.is_file() and file.is_file() and shipped.read_bytes() != file.read_bytes():
            group = file.parent.name
            problems.append(
                f"{file} has the name of an option that ships, which would be taken in its place. Rename it, for "
                f"example to {group}/my_{file.name}, and use {group}=my_{file.stem}."
            )
    if problems:
        raise UserError(problems)


@contextmanager
def hydra_session(config_dir: Path | None = None, config_name: str = "config") -> Iterator[Session]:
    """Set Hydra up for a block; nothing of it is left afterwards."""
    if config_dir is not None:
        refuse_shadowed(config_dir)
    hydra_plugin.register(config_dir)
    try:
        with hydra.initialize_config_dir(str(conf_dir()), job_name="mtl-train", **version_base()):
            yield Session(config_name, config_dir)
    finally:
        hydra_plugin.SearchPath.config_dir = None
        HydraConfig.instance().cfg = None
        GlobalHydra.instance().clear()


def plain_config(config: DictConfig) -> dict[str, Any]:
    """Return the config without its `hydra` node, as dicts, lists and scalars.

    A string that holds a resolver call is replaced by its value, whole; other interpolations stay as they are.

    Raises:
        UserError: resolvers that fail, all of them together.
    """
    plain = OmegaConf.to_container(config, resolve=False)
    assert isinstance(plain, dict)
    plain.pop("hydra", None)
    problems: list[str] = []
    _replace_calls(plain, config, "", problems)
    if problems:
        raise UserError(problems)
    return {str(key): value for key, value in plain.items()}


def _replace_calls(plain: Any, node: Any, at: str, problems: list[str]) -> None:  # noqa: ANN401  dict or list
    for key, value in list(plain.items() if isinstance(plain, dict) else enumerate(plain)):
        where = f"{at}.{key}" if at else str(key)
        if isinstance(value, dict | list):
            _replace_calls(value, node[key], where, problems)
        elif isinstance(value, str) and _RESOLVER_CALL.search(value):
            try:
                plain[key] = _literal(node[key])
            except OmegaConfBaseException as error:
                reason = str(error).splitlines()[0]
                problems.append(f"{where} is '{value}', which has no value: {reason}. Set {where}=VALUE.")


def _literal(value: Any) -> Any:  # noqa: ANN401  any YAML value
    """Return what a resolver gave as plain data in which nothing is an interpolation any more."""
    if OmegaConf.is_config(value):
        value = OmegaConf.to_container(value, resolve=True)
    if isinstance(value, dict):
        return {key: _literal(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_literal(item) for item in value]
    if isinstance(value, str):
        return escaped(value)
    return value if isinstance(value, int | float | None) else str(value)


def source_folders(config: DictConfig) -> list[Path]:
    """Return the folders that a config was composed from, those of hydra.searchpath too."""
    return [Path(source.path) for source in config.hydra.runtime.config_sources if source.schema == "file"]


def task_clashes(choice: object, folders: Sequence[Path]) -> list[str]:
    """Return a problem for each task name that two files of a joined task both define."""
    owner: dict[str, str] = {}
    problems = []
    for part in choice.split("+") if isinstance(choice, str) and "+" in choice else ():
        path = next((path for folder in folders if (path := folder / "task" / f"{part}.yaml").is_file()), None)
        tree = read_yaml(path.read_text(encoding="utf-8")) if path else None
        tasks = tree.get("tasks") if isinstance(tree, Mapping) else None
        for name in tasks if isinstance(tasks, Mapping) else ():
            if name in owner:
                problems.append(
                    f"task={choice} holds two tasks named alike: '{name}' is defined by {owner[name]} and by {part}. "
                    f"Rename one in its file, or leave {part} out."
                )
            owner.setdefault(str(name), part)
    return problems
