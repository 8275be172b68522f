"""Which keys a class takes from YAML, and option groups: keys that many classes share, declared and checked once.

The rule: a constructor's parameter that is annotated with a subclass of `Options` is an option group. Its fields are
keys of the class's YAML, beside the other parameters' keys and as flat as these; the program gathers their values into
an instance of the group. Therefore YAML never names a group, and two groups of a class may not share a field's name.
"""

import inspect
import typing
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

from mtl_cli.config.annotations import ANY, Rule, annotations, problem
from mtl_cli.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Options:
    """Base of option groups: frozen, keyword-only dataclasses with a docstring per field.

    Every value is checked against its annotation and its rule (`option`); lists become tuples. A subclass that compares
    its fields with each other extends `problems`.

    Raises:
        UserError: every value that does not fit.
    """

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, list):
                object.__setattr__(self, name, tuple(value))
        if problems := self.problems():
            raise UserError(problems)

    def problems(self) -> list[str]:
        """Return what is wrong with the options."""
        found = (
            problem(name, getattr(self, name), key.hint, key.rule, key.example)
            for name, key in keys_of_group(type(self)).items()
        )
        return [each for each in found if each]


def option(
    default: Any = MISSING,  # noqa: ANN401  a value of any plain type
    *,
    example: Any = None,  # noqa: ANN401
    low: float | None = None,
    above: float | None = None,
    below: float | None = None,
    choices: tuple[str, ...] = (),
) -> Any:  # noqa: ANN401  what dataclasses.field returns
    """Return a field of an option group whose values are ≥ `low`, > `above` and < `below`, or among `choices`.

    An option without a default must be given in YAML; messages then show the `example`.
    """
    shown = example if default is MISSING else default
    return field(default=default, metadata={"rule": Rule(low, above, below, choices), "example": shown})


@dataclass(frozen=True)
class Key:
    """What a class takes under one key of its YAML; `group` is the parameter whose group the key belongs to."""

    hint: Any
    required: bool
    group: str | None = None
    rule: Rule = ANY
    example: Any = ...


def keys_of(cls: type) -> dict[str, Key]:
    """Return every key that a class takes, in order, including those that the program sets."""
    hints = annotations(cls)
    keys: dict[str, Key] = {}
    for name, parameter in inspect.signature(cls).parameters.items():
        if parameter.kind not in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY):
            continue
        hint, required = hints.get(name, Any), parameter.default is inspect.Parameter.empty
        if isinstance(hint, type) and issubclass(hint, Options):
            assert required, f"{cls.__name__}.{name} has a default; the fields of an option group carry their own"
            new = keys_of_group(hint, name)
        else:
            new = {name: Key(hint, required)}
        assert not set(new) & set(keys), f"{cls.__name__} takes {sorted(set(new) & set(keys))} twice"
        keys |= new
    return keys


def keys_of_group(group: type, parameter: str | None = None) -> dict[str, Key]:
    """Return the keys of an option group, which a class takes as a parameter."""
    hints = typing.get_type_hints(group)
    return {
        each.name: Key(
            hints[each.name],
            each.default is MISSING and each.default_factory is MISSING,
            parameter,
            each.metadata.get("rule", ANY),
            each.metadata.get("example", ... if each.default is MISSING else each.default),
        )
        for each in fields(group)
    }


def gathered(cls: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a class from the values of its keys; option groups are made from those of their fields.

    Raises:
        UserError: every option that does not fit.
    """
    keys, hints = keys_of(cls), annotations(cls)
    parts: dict[str, dict[str, Any]] = {key.group: {} for key in keys.values() if key.group}
    arguments: dict[str, Any] = {}
    for name, value in values.items():
        group = keys[name].group if name in keys else None
        (parts[group] if group else arguments)[name] = value
    problems: list[str] = []
    for parameter, part in parts.items():
        try:
            arguments[parameter] = hints[parameter](**part)
        except UserError as error:
            problems += error.problems
    if problems:
        raise UserError(problems)
    return arguments
