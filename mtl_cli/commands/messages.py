"""What is said about overrides and conf files that Hydra refuses."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra.errors import ConfigCompositionException, MissingConfigException

from mtl_cli.config.interpolation import leaves, split_key
from mtl_cli.config.shipped import read_yaml
from mtl_cli.config.task_groups import READING
from mtl_cli.errors import UserError, nearest_name, some

LAUNCHERS = {"joblib": "sweeps", "submitit_local": "slurm", "submitit_slurm": "slurm"}
"""The extra that brings a launcher of sweeps."""


def option_message(group: str, name: str, options: Sequence[str], text: str, guess: str) -> str:
    """Return the message for an option that a group does not have; `guess` is the one that is meant, or empty."""
    kind = "task" if group == "task" else f"{group} option"
    known = ", ".join(options) if options else "none"
    meant = f" Did you mean '{guess}'?" if guess else ""
    single = guess and name and "," not in text
    fix = re.sub(rf"(?<![\w.-]){re.escape(name)}(?![\w.-])", guess, text) if single else ""
    if group == "hydra/launcher" and name in LAUNCHERS:
        return f"{text} needs an optional package. Install it: pip install 'mtl-cli[{LAUNCHERS[name]}]'."
    return f"Unknown {kind} '{name}' in {text}.{meant} Known: {known}." + (f" Use {fix}." if fix else "")


def no_option_message(group: str, text: str, options: Sequence[str]) -> str:
    """Return the message for a value that is not an option of a group: null, or a list."""
    known = f"Choose one of {', '.join(options)}: {group}=OPTION."
    return f"{text} chooses no {group}. {known}" + (" Join tasks by +: task=A+B." if group == "task" else "")


def sweep_message(group: str, text: str, names: Sequence[str]) -> str:
    """Return the message for several options of a group where one is taken, or tasks that are joined otherwise."""
    joined = f" Join tasks by +: task={'+'.join(names)}." if group == "task" else ""
    return f"{text} lists several options.{joined} Run each of them by -m {group}={','.join(names)}."


def section_message(key: str, text: str, keys: Sequence[str]) -> str:
    """Return the message for a value that is given to a whole section."""
    fix = f"Choose tasks by task={text.partition('=')[2]}." if key == "tasks" else f"Use for example {key}.KEY=VALUE."
    return f"{text} gives one value to a section, whose keys are {', '.join(map(str, keys))}. {fix}"


def key_message(key: str, text: str, config: Any, fits: Callable[[str], bool]) -> str:  # noqa: ANN401  a plain config
    """Return the message for a key that the config does not have, at any depth.

    `fits` says whether a key takes the value that was typed: only then can the key have been meant.
    """
    lead = f"Unknown key '{key}' in {text}."
    prefix, value = ("~", "") if text.startswith("~") else ("", "=" + text.partition("=")[2])
    guesses = [guess for guess in meant_keys(key, config) if prefix or fits(guess)]
    if len(guesses) == 1:
        return f"{lead} Did you mean '{guesses[0]}'? Use {prefix}{guesses[0]}{value}."
    if guesses:
        return f"{lead} Keys of that name: {some(guesses, 6)}."
    at, names = _deepest(key, config)
    if not prefix and "_target_" in names and at.startswith("tasks.") and key.removeprefix(f"{at}.") in READING:
        return f"{lead} The task reads its label without it. Add it: +{key}{value}."
    return f"{lead} {f'{at} has {some(names)}.' if at and names else 'mtl-train --cfg job shows all keys.'}"


def meant_keys(key: str, config: Any) -> list[str]:  # noqa: ANN401  a plain config
    """Return the keys of a config that an unknown one may stand for: it misspells one, or is in the wrong section."""
    parts = split_key(key)
    if spelt := _misspelt(parts, config):
        return [spelt]
    if len(parts) > 2 or (len(parts) == 2 and parts[0] not in config) or not parts:
        return []
    names = [name for name, _ in leaves(config) if not name.startswith("hydra.")]
    names = list(dict.fromkeys([*names, *map(str, config)])) if len(parts) == 2 else names
    ends = [name.rpartition(".")[2] for name in names]
    last = parts[-1] if parts[-1] in ends else nearest_name(parts[-1], ends)
    found = [name for name, end in zip(names, ends, strict=True) if end == last]
    depth = min((name.count(".") for name in found), default=0)  # data.batch_size is meant, not that of a dataset
    return [name for name in found if name.count(".") == depth]


def _misspelt(parts: Sequence[str], config: Any) -> str:  # noqa: ANN401  a plain config
    """Return the key whose every part is equal to the one typed or near it, or an empty string."""
    found: list[str] = []
    node = config
    for part in parts:
        known = [str(name) for name in node] if isinstance(node, dict) else []
        guess = nearest_name(part, known)
        if not guess:
            return ""
        found.append(guess)
        node = node[guess]
    return ".".join(found)


def _deepest(key: str, config: Any) -> tuple[str, list[str]]:  # noqa: ANN401  a plain config
    """Return the part of a key that the config has, and the names under it."""
    at: list[str] = []
    for part in split_key(key):
        if not isinstance(config, dict) or part not in config:
            break
        at.append(part)
        config = config[part]
    return ".".join(at), [str(name) for name in config] if isinstance(config, dict) else []


def hydra_message(error: Exception, folders: Sequence[Path] = ()) -> str:
    """Return what an exception of Hydra says, in a line or two; `folders` may hold the file that it is about."""
    if isinstance(error, yaml.YAMLError) and (broken := broken_files(folders)):
        return "\n".join(broken)
    if isinstance(error, MissingConfigException) and error.options is not None and error.missing_cfg_file:
        group, _, name = str(error.missing_cfg_file).rpartition("/")
        options = sorted(error.options)
        return option_message(group, name, options, f"{group}={name}", nearest_name(name, options))
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
