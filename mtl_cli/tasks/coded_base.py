"""A column of what a task says of rows, as a tensor that a graph can hold."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor


@dataclass(frozen=True)
class Coded:
    """A column of numbers [B], and the names that they stand for, such as those of classes; none: themselves."""

    numbers: Tensor
    names: tuple[str, ...] = ()

    def decoded(self) -> "np.ndarray[Any, Any]":
        """Return the column: names as objects, or numbers."""
        values: np.ndarray[Any, Any] = self.numbers.cpu().numpy()
        return np.asarray(self.names, dtype=object)[values] if self.names else values
