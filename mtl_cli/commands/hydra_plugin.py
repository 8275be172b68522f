"""What Hydra is told about this program: joined tasks (`task=a+b`), the schema, a user's --config-dir."""

import builtins
import functools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.core.object_type import ObjectType
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.plugins.config_source import ConfigResult, ConfigSource
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import OmegaConf

from mtl_cli.config.schema import Config

_JOINED = re.compile(r"task/([^/+]+(?:\+[^/+]+)+)")


class JoinedTasks(ConfigSource):
    """Makes `task/a+b` a config that has `a` and `b` as its defaults.

    Whether a and b exist is not looked at here: they may lie in any other folder of the search path. The source comes
    after the conf folders, so that a file that is really called a+b.yaml wins.
    """

    @staticmethod
    def scheme() -> str:
        """Return the scheme of its entry in the search path."""
        return "joined-tasks"

    def load_config(self, config_path: str) -> ConfigResult:
        """Return the config of an existing joined task."""
        names = self._names(config_path)
        if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
            raise HydraException(twice_message(names, twice[0]))
        return ConfigResult(
            provider=self.provider,
            path=f"{self.scheme()}://{self.path}",
            config=OmegaConf.create({"defaults": list(names)}),
            header={"package": "_global_"},
        )

    def is_group(self, config_path: str) -> bool:
        """Return False: it has files only."""
        return False

    def is_config(self, config_path: str) -> bool:
        """Return whether the path is of the form task/a+b."""
        return bool(self._names(config_path))

    def available(self) -> bool:
        """Return True."""
        return True

    def list(self, config_path: str, results_filter: ObjectType | None) -> builtins.list[str]:
        """Return nothing: combinations are not listed."""
        return []

    @staticmethod
    def _names(config_path: str) -> tuple[str, ...]:
        match = _JOINED.fullmatch(config_path.removesuffix(".yaml"))
        return tuple(match[1].split("+")) if match else ()


class SearchPath(SearchPathPlugin):
    """Appends the user's --config-dir and the joined tasks to the search path."""

    config_dir: ClassVar[Path | None] = None

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Append the entries."""
        if self.config_dir is not None:
            search_path.append("command-line", f"file://{self.config_dir}")
        search_path.append("mtl-cli", f"{JoinedTasks.scheme()}://tasks")


def register(config_dir: Path | None) -> None:
    """Tell Hydra about the schema and the plugins; can be called again with another --config-dir."""
    SearchPath.config_dir = config_dir
    _register_once()


@functools.cache
def _register_once() -> None:
    ConfigStore.instance().store(name="schema", node=Config, provider="mtl-cli")
    for plugin in (JoinedTasks, SearchPath):
        Plugins.instance().register(plugin)


def twice_message(names: Sequence[str], name: str) -> str:
    """Return the message for a task that is named twice in `task=a+b+…`."""
    once = "+".join(dict.fromkeys(names))
    return f"task={'+'.join(names)} holds two tasks named alike: '{name}'. Use task={once}."
