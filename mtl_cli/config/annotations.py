"""Plain data from a checkpoint as a dataclass, each value checked against its annotation."""

import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, get_type_hints

T = TypeVar("T")


def typed(cls: type[T], values: Mapping[str, Any]) -> T:
    """Return an instance of a dataclass; lists become the tuples that it wants.

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
    """Return the types of the constructor's arguments, as far as they can be found out."""
    try:
        return typing.get_type_hints(cls.__init__)  # type: ignore[misc]  # of whichever base defines it
    except (NameError, TypeError, AttributeError):
        return {}


def fits(value: object, hint: Any) -> bool:  # noqa: ANN401  any annotation
    """True where a YAML value may stand for an annotation; what is neither a class nor a plain type fits anything."""
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
    """True where a YAML value is an instance of a class; a whole number may stand for a float, a bool for neither."""
    if isinstance(value, bool) and cls in (int, float):
        return False
    try:
        return isinstance(value, (int, float) if cls is float else cls)
    except TypeError:  # a protocol
        return True


def describe(hint: Any) -> str:  # noqa: ANN401  any annotation
    """Return an annotation in words."""
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "a word", type(None): "null"}
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(describe(each) for each in inner)
    if origin is typing.Literal:
        return "one of " + ", ".join(map(str, inner))
    if origin is tuple and inner and inner[-1] is not Ellipsis:
        return f"a list of {len(inner)} values"
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        return "a mapping"
    if origin is not None:
        return "a list" + (f" of {describe(inner[0]).removeprefix('a ')}s" if inner else "")
    return names.get(hint, f"a {getattr(hint, '__name__', hint)}")
