"""A config as plain data: checked, resolved, hashed and read back from a run."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import yaml

from mtl_cli.errors import UserError, nearest
from mtl_cli.interpolation import MAX_NODES
from mtl_cli.interpolation import resolve as resolve
from mtl_cli.schema import CONSOLE, knobs
from mtl_cli.schema import KNOWN_KEYS as KNOWN_KEYS
from mtl_cli.schema import RESUMABLE as RESUMABLE
from mtl_cli.validation import validate as validate


def config_hash(config: Mapping[str, Any]) -> str:
    """Return the identity of a config, 16 hex digits: everything but what the console shows.

    The order of the tasks counts, the order of other keys does not.
    """
    kept = {key: value for key, value in config.items() if key not in CONSOLE}
    tasks = config.get("tasks")
    order = list(tasks) if isinstance(tasks, Mapping) else []
    text = json.dumps([_canonical(kept), [str(name) for name in order]], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:16]


def _canonical(value: Any) -> Any:  # noqa: ANN401  any YAML value
    if isinstance(value, Mapping):
        return {f"{type(key).__name__} {key}": _canonical(item) for key, item in value.items()}
    return [_canonical(item) for item in value] if isinstance(value, list | tuple) else value


def load_run_config(text: str) -> dict[str, Any]:
    """Return the config in a run directory or checkpoint, read as data only.

    Raises:
        UserError: it is no YAML, no mapping, or has other top-level keys than a config.
    """
    try:
        config = yaml.safe_load(text)
        _check_data(config, [0], 0)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"The run's config is not readable: {first}") from error
    if not isinstance(config, dict):
        raise UserError(f"The run's config is no mapping but {type(config).__name__}.")
    problems = [
        f"The run's config has a key '{key}' that no config has.{nearest(str(key), KNOWN_KEYS)}"
        for key in config
        if key not in KNOWN_KEYS
    ]
    if problems:
        raise UserError(problems)
    return config


def with_new_knobs(config: dict[str, Any]) -> dict[str, Any]:
    """Return a run's config with the knobs that an older version did not have yet, at their defaults.

    So a new knob's default must be what older versions did.
    """
    for key, knob in knobs().items():
        section, _, name = key.rpartition(".")
        node = config.setdefault(section, {}) if section else config
        if isinstance(node, dict):
            node.setdefault(name, knob.default)
    return config


def _check_data(value: object, count: list[int], depth: int) -> None:
    count[0] += 1
    if count[0] > MAX_NODES or depth > 100:
        raise ValueError(f"it holds more than {MAX_NODES} values, or deeper ones than 100 levels.")
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str | int | float):
                raise ValueError(f"a key is {key!r}, which is no text.")
            _check_data(item, count, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check_data(item, count, depth + 1)
    elif not isinstance(value, str | int | float | None):
        raise ValueError(f"a value is {value!r}, of type {type(value).__name__}.")
