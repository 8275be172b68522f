"""A config as plain data: checked, resolved, hashed and read back from a run."""

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from mtl_cli.config.interpolation import leaves, resolve
from mtl_cli.config.knobs import PREFERENCE
from mtl_cli.config.run_yaml import read_run_yaml
from mtl_cli.config.schema import CONSOLE, KNOWN_KEYS, knobs
from mtl_cli.config.task_groups import expand, key_in_group, task_has, task_names
from mtl_cli.config.validation import validate
from mtl_cli.errors import UserError, nearest
from mtl_cli.files import read_small

logger = logging.getLogger("mtl_cli")
Config = dict[str, Any]
CACHE = "cache_dir"
"""The argument of datasets that names a folder to write to."""


def config_hash(config: Mapping[str, Any]) -> str:
    """Return the identity of a config, 16 hex digits: it covers everything except what the console shows.

    The order of the tasks counts; the order of other keys does not.
    """
    kept = {key: value for key, value in config.items() if key not in CONSOLE}
    text = json.dumps([_canonical(kept), task_names(config.get("tasks"))], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:16]


def _canonical(value: Any) -> Any:  # noqa: ANN401  any YAML value
    if isinstance(value, Mapping):
        return {f"{type(key).__name__} {key}": _canonical(item) for key, item in value.items()}
    return [_canonical(item) for item in value] if isinstance(value, list | tuple) else value


def load_run_config(text: str) -> dict[str, Any]:
    """Return the config in a run directory or checkpoint, read as data only.

    Raises:
        UserError: it is not YAML, not a mapping, or has other top-level keys than a config.
    """
    try:
        config = read_run_yaml(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"The run's config is not readable: {first}") from error
    if not isinstance(config, dict):
        raise UserError(f"The run's config is not a mapping but {type(config).__name__}.")
    problems = [
        f"The run's config has a key '{key}' that no config has.{nearest(str(key), KNOWN_KEYS)}"
        for key in config
        if key not in KNOWN_KEYS
    ]
    if problems:
        raise UserError(problems)
    return config


def with_new_knobs(config: dict[str, Any]) -> dict[str, Any]:
    """Return a run's config in which the knobs that its older version did not have are set to their defaults.

    Therefore the default of a new knob must be what older versions did, unless that was wrong (trainer.eval_precision).
    """
    for key, knob in knobs().items():
        section, _, name = key.rpartition(".")
        node = config.setdefault(section, {}) if section else config
        if isinstance(node, dict):
            node.setdefault(name, knob.default)
    return config


def check_written(path: Path, config: Config) -> None:
    """Compare the config file of a run with the config in its checkpoint.

    Raises:
        UserError: they differ, or the file is not a config.
    """
    try:
        text = read_small(path)
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"Cannot read {path}: {error}. Remove it: the checkpoint holds the config too.") from error
    if load_run_config(text) != config:
        raise UserError(
            f"{path} is not the config of the checkpoint. Undo the change, or start a new run with the changed one."
        )


def checked(config: Config, folders: Sequence[Path] = ()) -> Config:
    """Return a config with its node interpolations resolved and its groups of tasks expanded.

    `folders` may hold conf files of the user's own.

    Raises:
        UserError: the config has problems; all are named.
    """
    problems = validate(config, folders)
    if problems:
        raise UserError(problems)
    return expand(resolve(config))


def override(config: Config, overrides: Mapping[str, Any]) -> Config:
    """Return a run's config with the values of dotted keys replaced, and with the knobs that are newer than it.

    The folders that it names for caches count only where the overrides repeat them (`caches`): nothing is written where
    the config of a stranger says. Where the key is that of a task in a group, the task gets a value of its own.
    `preference` is short for weighting.preference.

    Raises:
        UserError: the config has no such key.
    """
    changed = with_new_knobs(copy_nodes(config))
    unused = {key: value for key, value in caches(config).items() if key not in overrides}
    for key, value in unused.items():
        logger.info("The cache goes to its usual folder. The run's own was another: say %s=%s to use it.", key, value)
    problems = []
    for given, value in {**dict.fromkeys(unused), **overrides}.items():
        key = f"weighting.{PREFERENCE}" if given == PREFERENCE else given
        own = key_in_group(changed.get("tasks"), key)
        *path, last = (own or key).split(".")
        has_own = own is not None and task_has(changed["tasks"], key)
        node: Any = changed
        for part in path:
            if has_own and isinstance(node, dict):
                node[part] = node.get(part) or {}
            node = node.get(part) if isinstance(node, dict) else None
        if not isinstance(node, dict) or not (has_own or last in node):
            advice = " Leave it out: only runs of weighting=preference take one." if given == PREFERENCE else ""
            problems.append(f"{given}={value}: the run's config has no key '{key}'.{advice}")
        else:
            node[last] = value
    if problems:
        raise UserError(problems)
    return changed


def caches(config: Config) -> dict[str, Any]:
    """Return the folders that a config names for caches, by dotted key."""
    return {key: value for key, value in leaves(config) if key.endswith(f".{CACHE}") and value is not None}


def copy_nodes(value: Any) -> Any:  # noqa: ANN401  any YAML value
    """Return a deep copy of plain data."""
    return {key: copy_nodes(item) for key, item in value.items()} if isinstance(value, dict) else value


def targets_in(node: object) -> Iterator[object]:
    """Yield every `_target_` of a config."""
    if isinstance(node, dict):
        if "_target_" in node:
            yield node["_target_"]
        for value in node.values():
            yield from targets_in(value)
