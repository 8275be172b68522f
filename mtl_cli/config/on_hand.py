"""Finds the components on hand, so that a message can name those that fit."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator, Sequence
from typing import Any


def components_on_hand(base: type, package: str) -> list[type[Any]]:
    """Return the classes that are a `base` and can be named by a `_target_`, by the names of their modules.

    These are the classes in the modules of `package`, which are imported for it, and the classes that are loaded
    already, such as those of a user.
    """
    folder = importlib.import_module(package)
    for module in pkgutil.iter_modules(folder.__path__):
        importlib.import_module(f"{package}.{module.name}")
    return sorted(filter(is_component, {*subclasses(base)}), key=target_of)


def subclasses(base: type) -> Iterator[type]:
    """Yield all loaded subclasses, each once or more."""
    own: list[type] = base.__subclasses__()
    for cls in own:
        yield cls
        yield from subclasses(cls)


def is_component(cls: type) -> bool:
    """Return True for a top-level class that can be built, unless its module holds base classes (…base.py)."""
    return not inspect.isabstract(cls) and "." not in cls.__qualname__ and not cls.__module__.endswith("base")


def target_of(cls: type) -> str:
    """Return the `_target_` that names a class."""
    return f"{cls.__module__}.{cls.__qualname__}"


def either(words: Sequence[str]) -> str:
    """Return "a", "a or b", "a, b or c"."""
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last
