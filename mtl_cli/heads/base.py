"""What a head is: a recipe for a module from features to outputs."""

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import nn

from mtl_cli.features import FeatureSpec


class Head(ABC):
    """A recipe for heads. Heads that need vectors pool maps and sequences themselves (`mtl_cli.features.pool`)."""

    gives: ClassVar[str] = "vector"
    """What a sample's outputs are: "vector", one [num_outputs], or "sequence", one a token, [L, num_outputs]."""

    reads_skips: bool = False
    """Whether the modules read `Features.skips`; skips that neither a head nor a later stage reads are not kept."""

    @abstractmethod
    def build(self, spec: FeatureSpec, num_outputs: int) -> nn.Module:
        """Return a module from `Features` of `spec` to outputs [B, num_outputs].

        Raises:
            ValueError: the features are of a kind that this head cannot use.
        """
