"""What a program of the user's hands over in the place of a typed command."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mtl_cli.commands.import_path import add_to_path, own_path
from mtl_cli.errors import UserError

Overrides = Sequence[str] | Mapping[str, Any]
"""Words such as "trainer.max_epochs=3", or a mapping of keys to values."""


def words_of(overrides: Overrides) -> list[str]:
    """Return overrides as they would be typed.

    Raises:
        UserError: they are one text.
    """
    if isinstance(overrides, str):
        raise UserError(f"The overrides are one text, {overrides!r}; give a list: {overrides.split()!r}.")
    if isinstance(overrides, Mapping):
        return [f"{key}={typed(value)}" for key, value in overrides.items()]
    return [str(word) for word in overrides]


def typed(value: Any) -> str:  # noqa: ANN401  any value of a config
    """Return a value as it is typed behind key=."""
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{typed(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(typed, value)) + "]"
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)


def values_of(overrides: Overrides) -> dict[str, Any]:
    """Return overrides as values by key.

    Raises:
        UserError: a word is not key=value.
    """
    if isinstance(overrides, Mapping):
        return dict(overrides)
    if not overrides:
        return {}  # a graph is served without Hydra
    from mtl_cli.commands.overrides import parse_values

    return parse_values(words_of(overrides), "overrides")


def folder_of(config_dir: str | Path | None) -> Path | None:
    """Return the folder of the user's conf files and modules.

    Raises:
        UserError: there is no such folder.
    """
    if config_dir is None:
        return None
    folder = Path(config_dir).expanduser().absolute()
    if not folder.is_dir():
        raise UserError(f"config_dir is {config_dir}, which is not a folder.")
    return folder


@contextmanager
def modules_of(folder: Path | None) -> Iterator[list[Path]]:
    """Let modules of the user's folder be imported for a block; return the folders that are trusted."""
    with own_path():
        if folder is not None:
            add_to_path(folder)
        yield [] if folder is None else [folder]
