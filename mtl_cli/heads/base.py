"""What a head is: a recipe for a module from features to outputs."""

from abc import ABC, abstractmethod

from torch import nn

from mtl_cli.features import FeatureSpec


class Head(ABC):
    """A recipe for heads. Heads that need vectors pool maps and sequences themselves (`mtl_cli.features.pool`)."""

    @abstractmethod
    def build(self, spec: FeatureSpec, num_outputs: int) -> nn.Module:
        """Return a module from `Features` of `spec` to outputs [B, num_outputs].

        Raises:
            ValueError: the features are of a kind that this head cannot use.
        """
