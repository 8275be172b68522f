"""Whether plain values fit annotations and rules, and the one wording for those that do not."""

import math
import re
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, get_type_hints

from mtl_cli.errors import nearest

T = TypeVar("T")
MAX_INT = 2**63
"""Whole numbers are below it, as in torch and numpy, and at least its negative."""
_PATTERNS = {r"cuda:\d+": "cuda:N", r"stages:[1-9]\d*": "stages:N"}
_WORDS = {
    int: ("a whole number", "whole numbers"),
    float: ("a number", "numbers"),
    bool: ("true or false", "true or false"),
    str: ("text", "texts"),
    type(None): ("null", "null"),
}
"""What one value of a plain type is called in messages, and what several are called."""


@dataclass(frozen=True)
class Rule:
    """What a value must be beyond its type: a number in a range, or one of some words."""

    low: float | None = None
    above: float | None = None
    below: float | None = None
    choices: tuple[str, ...] = ()
    pattern: str = ""
    """Words that are allowed besides the choices."""

    def allows(self, value: Any) -> bool:  # noqa: ANN401  a value of the right type
        """Return True for a value in the range or among the words; whether null is allowed is decided by the type."""
        if self.choices and value is not None:
            return value in self.choices or bool(self.pattern and re.fullmatch(self.pattern, value))
        unbounded = self.low is self.above is self.below is None
        if unbounded or isinstance(value, bool) or not isinstance(value, int | float):
            return True
        return (
            (isinstance(value, int) or math.isfinite(value))
            and (self.low is None or value >= self.low)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )

    def described(self, hint: Any) -> str:  # noqa: ANN401  any annotation
        """Return the values of an annotation that the rule allows, in words."""
        inner = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
        null = " or null" if type(None) in inner else ""
        if self.choices:
            return f"one of {', '.join((*self.choices, *([_PATTERNS[self.pattern]] if self.pattern else [])))}{null}"
        kinds = describe(typing.Union[tuple(each for each in inner if each is not type(None))])  # noqa: UP007  built here
        signs = {"≥": self.low, ">": self.above, "<": self.below}
        bounds = " and ".join(f"{sign} {_number(bound)}" for sign, bound in signs.items() if bound is not None)
        return f"{kinds} {bounds}".rstrip() + null


ANY = Rule()


def problem(key: str, value: object, hint: Any, rule: Rule = ANY, example: object = ...) -> str | None:  # noqa: ANN401
    """Return what is wrong with a value and what would fit, or None; the fix shows `example`, or VALUE without one."""
    if fits(value, hint) and rule.allows(value):
        return None
    return misfit(key, value, rule.described(hint), example, rule.choices)


def misfit(key: str, value: object, expected: str, example: object = ..., choices: Sequence[str] = ()) -> str:
    """Return the message for a value that does not fit; it names the nearest of the `choices`."""
    found = f"'{value}'" if isinstance(value, str) else shown(value)
    advice = f"Set {key}=VALUE." if example is ... else f"Use for example {key}={shown(example)}."
    return f"{key} is {found}; it is {expected}.{nearest(str(value), choices)} {advice}"


def one_of(key: str, value: object, choices: Sequence[str]) -> str:
    """Return the message for a word that is not one of the `choices`; the first of these is the example."""
    return misfit(key, value, f"one of {', '.join(choices)}", choices[0], choices)


def shown(value: object) -> str:
    """Return a plain value as it is written on the command line."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int) and abs(value) >= MAX_INT:
        return f"a number beyond {'-' * (value < 0)}2^63"
    return f"[{','.join(map(shown, value))}]" if isinstance(value, list | tuple) else str(value)


def typed(cls: type[T], values: Mapping[str, Any]) -> T:
    """Return an instance of a dataclass from plain data of a checkpoint; lists become tuples where it has tuples.

    Raises:
        ValueError: a value is missing, unknown or of another type.
    """
    hints = get_type_hints(cls)
    for name, value in values.items():
        if name not in hints:
            raise ValueError(f"{cls.__name__} has a value {name!r} that is not known")
        if not fits(value, hints[name]):
            raise ValueError(f"{cls.__name__}.{name} is {str(value)[:40]!r}")
    try:
        return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})
    except TypeError as error:
        raise ValueError(str(error)) from error


def annotations(cls: type) -> dict[str, Any]:
    """Return the types of the constructor's arguments, as far as they can be determined."""
    try:
        return typing.get_type_hints(cls.__init__)  # type: ignore[misc]  # of whichever base defines it
    except (NameError, TypeError, AttributeError):
        return {}


def fits(value: object, hint: Any) -> bool:  # noqa: ANN401  any annotation
    """Return True where a YAML value fits an annotation; one that is neither class nor plain type fits any value."""
    origin, inner = typing.get_origin(hint) or hint, typing.get_args(hint)
    if hint is None or hint is type(None):
        return value is None
    if hint is typing.Any:
        return True
    if origin is typing.Literal:
        return any(value == each and type(value) is type(each) for each in inner)
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, each) for each in inner)
    if not isinstance(origin, type):
        return True
    if issubclass(origin, Mapping):
        return isinstance(value, Mapping) and all(fits(each, inner[1]) for each in value.values() if len(inner) == 2)
    if origin is tuple and inner and inner[-1] is not Ellipsis:
        return isinstance(value, list | tuple) and len(value) == len(inner) and all(map(fits, value, inner))
    if issubclass(origin, Sequence) and origin is not str:
        return isinstance(value, list | tuple) and all(fits(each, inner[0]) for each in value if inner)
    return fits_class(value, origin)


def fits_class(value: object, cls: type) -> bool:
    """Return True where a YAML value is an instance of a class; a whole number counts as a float, a bool as neither."""
    if isinstance(value, bool) and cls in (int, float):
        return False
    try:
        if isinstance(value, int) and cls in (int, float) and not -MAX_INT <= value < MAX_INT:
            return False  # torch and numpy have no room for it
        return isinstance(value, (int, float) if cls is float else cls)
    except TypeError:  # a protocol
        return True


def describe(hint: Any) -> str:  # noqa: ANN401  any annotation
    """Return an annotation in words."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(describe(each) for each in inner if each is not int or float not in inner)
    if origin is typing.Literal:
        return "one of " + ", ".join(map(str, inner))
    if origin is tuple and inner and inner[-1] is not Ellipsis:
        return f"a list of {len(inner)} values"
    base = origin or hint
    if isinstance(base, type) and issubclass(base, Mapping):
        return "a mapping"
    if isinstance(base, type) and issubclass(base, Sequence) and base is not str:
        return f"a list of {_WORDS[inner[0]][1]}" if inner and inner[0] in _WORDS else "a list"
    return _WORDS[hint][0] if hint in _WORDS else f"a {getattr(hint, '__name__', hint)}"


def _number(value: float) -> str:
    return f"2^{math.log2(value):g}" if value >= 2.0**53 else f"{value:g}"
