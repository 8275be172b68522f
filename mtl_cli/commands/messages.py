"""What is said about overrides and conf files that Hydra refuses."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra.errors import ConfigCompositionException, MissingConfigException

from mtl_cli.config.interpolation import leaves, split_key
from mtl_cli.config.shipped import read_yaml
from mtl_cli.errors import UserError, nearest


def option_message(group: str, name: str, options: Sequence[str], text: str) -> str:
    """Return the message for an option that a group does not have."""
    kind = "task" if group == "task" else f"{group} option"
    known = ", ".join(options) if options else "none"
    guess = nearest_name(name, options)
    fix = re.sub(rf"(?<![\w.-]){re.escape(name)}(?![\w.-])", guess, text) if guess and name else ""
    return f"Unknown {kind} '{name}' in {text}.{nearest(name, options)} Known: {known}." + (
        f" Use {fix}." if fix else ""
    )


def no_option_message(group: str, text: str, options: Sequence[str]) -> str:
    """Return the message for a value that is not an option of a group: null, or a list."""
    known = f"Choose one of {', '.join(options)}: {group}=OPTION."
    return f"{text} chooses no {group}. {known}" + (" Join tasks by +: task=A+B." if group == "task" else "")


def section_message(key: str, text: str, keys: Sequence[str]) -> str:
    """Return the message for a value that is given to a whole section."""
    fix = f"Choose tasks by task={text.partition('=')[2]}." if key == "tasks" else f"Use for example {key}.KEY=VALUE."
    return f"{text} gives one value to a section, whose keys are {', '.join(map(str, keys))}. {fix}"


def key_message(key: str, text: str, config: Any, groups: Sequence[str]) -> str:  # noqa: ANN401  a plain config
    """Return the message for a key that the config does not have, at any depth."""
    guess = nearest_key(key, config, groups)
    lead = f"Unknown key '{key}' in {text}."
    if not guess:
        return f"{lead} mtl-train --cfg job shows all keys."
    prefix = "~" if text.startswith("~") else ""
    value = "" if prefix else "=" + text.partition("=")[2]
    return f"{lead} Did you mean '{guess}'? Use {prefix}{guess}{value}."


def nearest_key(key: str, config: Any, groups: Sequence[str]) -> str:  # noqa: ANN401  a plain config
    """Return the key of a config that is nearest to an unknown one: part by part, or by its last part anywhere."""
    names = [name for name, _ in leaves(config) if not name.startswith("hydra.") or key.startswith("hydra.")]
    parts = split_key(key)
    if len(parts) == 1:
        same = [name for name in names if name.rpartition(".")[2] == key]
        return same[0] if same else nearest_name(key, [*config, *groups]) or _by_last_part(key, names)
    found: list[str] = []
    node = config
    for part in parts:
        known = [str(name) for name in node] if isinstance(node, dict) else []
        guess = part if part in known else nearest_name(part, known)
        if not guess:
            return _by_last_part(parts[-1], [name for name in names if not found or name.startswith(f"{found[0]}.")])
        found.append(guess)
        node = node[guess]
    return ".".join(found)


def _by_last_part(part: str, names: Sequence[str]) -> str:
    ends = {name.rpartition(".")[2]: name for name in reversed(names)}
    guess = part if part in ends else nearest_name(part, list(ends))
    return ends[guess] if guess else ""


def nearest_name(name: str, known: Sequence[str]) -> str:
    """Return the nearest of the known names, or an empty string where none is near."""
    hint = re.fullmatch(r" Did you mean '(.*)'\?", nearest(name, known))
    return hint[1] if hint else ""


def hydra_message(error: Exception, folders: Sequence[Path] = ()) -> str:
    """Return what an exception of Hydra says, in a line or two; `folders` may hold the file that it is about."""
    if isinstance(error, yaml.YAMLError) and (broken := broken_files(folders)):
        return "\n".join(broken)
    if isinstance(error, MissingConfigException) and error.options is not None and error.missing_cfg_file:
        group, _, name = str(error.missing_cfg_file).rpartition("/")
        return option_message(group, name, sorted(error.options), f"{group}={name}")
    if isinstance(error, UserError):
        return "\n".join(error.problems)
    if isinstance(error, UserWarning) and (folder := re.search(r"path=(.*) is not available", str(error))):
        return f"hydra.searchpath names {folder[1]}, which is not a folder that can be read. Leave it out."
    texts = [str(error) or type(error).__name__]
    if isinstance(error, ConfigCompositionException) and error.__cause__:
        texts.append(str(error.__cause__))
    noise = ("full_key:", "object_type=", "reference_type=", "To append to your config", "See https")
    lines = [line.strip() for text in texts for line in text.splitlines()]
    return ". ".join(line.rstrip(".") for line in dict.fromkeys(lines) if line and not line.startswith(noise)) + "."


def broken_files(folders: Sequence[Path]) -> list[str]:
    """Return a message for each conf file that is not valid YAML."""
    found = []
    for path in sorted(path for folder in folders for path in folder.glob("**/*.yaml")):
        try:
            read_yaml(path.read_text(encoding="utf-8"))
        except (yaml.YAMLError, ValueError, OSError) as error:
            mark = getattr(error, "problem_mark", None)
            line = f", line {mark.line + 1}" if mark else ""
            reason = getattr(error, "problem", None) or str(error)
            found.append(f"{path} is not valid YAML{line}: {reason}. Fix the file.")
    return found
