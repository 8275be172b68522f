"""Which override is meant by a flag that no program has, such as `--weighting pcgrad` or `--batch-size=64`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from mtl_cli.config.annotations import fits
from mtl_cli.config.interpolation import leaves
from mtl_cli.config.schema import COMPONENTS, knobs
from mtl_cli.config.shipped import conf_dir, group_options, read_yaml
from mtl_cli.config.validation import like


def meant_override(name: str, value: str | None, folders: Sequence[Path] | None, words: Sequence[str]) -> str:
    """Return the override that works in the place of a flag, or an empty string where none is sure to.

    `folders` are conf folders besides the shipped one, or None for a program that takes no config; `words` are keys
    that a program takes by itself. A flag without a value can only be a switch.
    """
    key = name.replace("-", "_")
    if key in words:
        return f"{key}={value}" if value else ""
    if folders is None:
        return ""
    options = group_options([conf_dir(), *folders]) if not words else {}
    if key in options:
        known = value is not None and set(value.split("+") if key == "task" else [value]) <= set(options[key])
        return f"{key}={value}" if known else ""
    keys = {key: knob.default for key, knob in knobs().items()} | ({} if words else _default_values())
    found = [key] if key in keys else [each for each in keys if each.rpartition(".")[2] == key]
    if len(found) != 1:
        return ""
    text = value if value is not None else "true" if isinstance(keys[found[0]], bool) else ""
    return f"{found[0]}={text}" if _takes(found[0], text, keys[found[0]]) else ""


def _takes(key: str, text: str, default: Any) -> bool:  # noqa: ANN401  any YAML value
    """Return whether a key takes a value that was typed; only plain words are sure to reach it as they are."""
    try:
        value = read_yaml(text)
    except (yaml.YAMLError, ValueError):
        return False
    if not isinstance(value, str | int | float):
        return False
    return knobs()[key].problem(value) is None if key in knobs() else fits(value, like(default))


def _default_values() -> dict[str, Any]:
    """Return the values of the components that the primary config chooses, by dotted key."""
    folder, found = conf_dir(), dict[str, Any]()
    for entry in read_yaml((folder / "config.yaml").read_text(encoding="utf-8"))["defaults"]:
        for group, option in entry.items() if isinstance(entry, Mapping) else ():
            if group in COMPONENTS:
                node = read_yaml((folder / group / f"{option}.yaml").read_text(encoding="utf-8"))
                found |= {key: value for key, value in leaves(node, group) if not key.endswith("._target_")}
    return found
