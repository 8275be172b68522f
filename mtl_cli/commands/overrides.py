"""Single overrides: Hydra's grammar, and values for commands that do not compose."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from mtl_cli.errors import UserError


def parse(text: str, loader: ConfigLoader | None = None, hint: Callable[[str], str] = lambda text: "") -> Override:
    """Return one override, parsed by Hydra's grammar; `hint` says how a lone word may be meant.

    Raises:
        UserError: its syntax is wrong.
    """
    try:
        [override] = OverridesParser.create(config_loader=loader).parse_overrides([text])
        if not override.key_or_group:
            raise ValueError("no key")
        return override
    except (HydraException, ValueError) as error:
        raise UserError(syntax_message(text, str(error), hint)) from error


def parse_values(texts: Sequence[str], program: str) -> dict[str, Any]:
    """Return the values of plain `key=value` overrides by dotted key.

    Raises:
        UserError: one is of another form; all of them together.
    """
    values: dict[str, Any] = {}
    problems: list[str] = []
    for text in texts:
        try:
            override = parse(text)
        except UserError as error:
            problems += error.problems
            continue
        key = override.key_or_group
        if override.is_delete() or override.is_add() or override.is_force_add() or override.package:
            problems.append(f"{text} adds or removes a key; {program} changes values only. Use KEY=VALUE.")
        elif override.is_sweep_override():
            problems.append(f'{text} lists several values; {program} takes one. Quote it: "{quoted(text)}".')
        elif key in values:
            problems.append(f"{key} is given twice. Give it once.")
        else:
            values[key] = override.value()
    if problems:
        raise UserError(problems)
    return values


def syntax_message(text: str, reason: str, hint: Callable[[str], str]) -> str:
    """Return the message for an override that the grammar refuses."""
    if "=" not in text and not text.startswith("~"):
        return f"'{text}' sets nothing: overrides are key=value.{hint(text)}"
    key = text.partition("=")[0]
    if not re.fullmatch(r"[+~]{0,2}[\w./@:\-\[\]$]+", key):
        return f"'{text}' has no valid key before the =: '{key}'. Keys are like trainer.max_epochs."
    detail = " ".join(line for line in reason.splitlines() if line.strip() and not line.startswith("See https"))
    return f'The value in {text} cannot be read ({detail.strip()}). Quote it: "{quoted(text)}".'


def quoted(text: str) -> str:
    """Return an override with its value, or each one of a plain list, in single quotes, as Hydra has them."""
    key, _, value = text.partition("=")
    plain_list = re.fullmatch(r"\[([^\[\]{}'\"]+)\]", value)
    words = [word.strip() for word in plain_list[1].split(",")] if plain_list else [value]
    escaped = ",".join("'" + word.replace("'", "\\'") + "'" for word in words)
    return f"{key}=[{escaped}]" if plain_list else f"{key}={escaped}"
