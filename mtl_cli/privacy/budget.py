"""What a config asks for under `privacy`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Budget:
    """The most ε that a run may spend, or the noise that it adds in units of `clip_norm`; one of them is None."""

    epsilon: float | None
    noise: float | None
    delta: float | None
    clip_norm: float

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "Budget | None":
        """Return what a resolved config asks for, None where it asks for no privacy."""
        node = config["privacy"]
        if node["epsilon"] is None and node["noise"] is None:
            return None
        return cls(node["epsilon"], node["noise"], node["delta"], node["clip_norm"])
