"""What a head is: a recipe for a module from features to outputs."""

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import nn

from mtl_cli.config.on_hand import components_on_hand
from mtl_cli.features import FeatureSpec


class Head(ABC):
    """A recipe for heads. Heads that need vectors pool maps and sequences themselves (`mtl_cli.features.pool`)."""

    gives: ClassVar[str] = "vector"
    """What a sample's outputs are: "vector", one [num_outputs]; "sequence", one per token, [L, num_outputs]; "map", one
    per position, [num_outputs, H, W]; or any other word that a task asks for (`Task.head_gives`)."""
    takes: ClassVar[tuple[str, ...]] = ("vector", "sequence", "map")
    """The kinds of features that it reads."""

    reads_skips: bool = False
    """Whether the modules read `Features.skips`; skips that neither a head nor a later stage reads are not kept."""

    @abstractmethod
    def build(self, spec: FeatureSpec, num_outputs: int) -> nn.Module:
        """Return a module from `Features` of `spec`, which is of a kind that the head takes, to [B, num_outputs].

        Raises:
            ValueError: the features do not fit in another way.
        """


def heads_that_give(what: str) -> list[type[Head]]:
    """Return the heads on hand whose outputs are of that kind."""
    return [head for head in components_on_hand(Head, "mtl_cli.heads") if head.gives == what]
