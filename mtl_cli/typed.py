"""Plain data from a checkpoint as a dataclass, each value checked against its annotation."""

from collections.abc import Mapping
from typing import Any, TypeVar, get_type_hints

import numpy as np
from torch import Tensor

from mtl_cli.targets import fits

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


def numbers(value: object, length: int, name: str, whole: bool = False) -> np.ndarray:
    """Return a tensor [length] of a checkpoint as an array; `whole` are integers.

    Raises:
        ValueError: it is none, or of another shape.
    """
    if not isinstance(value, Tensor) or value.shape != (length,) or value.is_floating_point() == whole:
        found = f"of shape {list(value.shape)}" if isinstance(value, Tensor) else repr(value)[:40]
        raise ValueError(f"{name} is {found}, not {length} numbers")
    return value.numpy()
