"""Hard sharing with a gain for each task."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from mtl_cli.backbones.base import BackboneFactory
from mtl_cli.batch import Inputs
from mtl_cli.features import Boundary, run_stages
from mtl_cli.layers.named_modules import NamedModules
from mtl_cli.sharing.base import Shared, Sharing


class Gains(Sharing):
    """One backbone; each task multiplies its output by a number of its own, which is learnt and starts at `start`.

    Source: the gains of squeeze-and-excitation, Hu et al., CVPR 2018, reduced to one constant per task.
    """

    has_boundary = True

    def __init__(self, start: float, *, backbone: BackboneFactory, tasks: Sequence[str]) -> None:
        super().__init__()
        self.trunk = backbone()
        self.gains = NamedModules({task: Gain(start) for task in tasks})
        self.specs = dict.fromkeys(tasks, backbone.specs[-1])

    def forward(self, inputs: Inputs, tasks: Sequence[str], boundary: bool = False) -> Shared:
        """Return the trunk's output times each task's gain; the boundary is the trunk's output."""
        cut = Boundary(boundary)
        features = cut.hand_over_features(run_stages(self.trunk, inputs))
        changed = {task: replace(features, values=self.gains[task](features.values)) for task in tasks}
        return Shared(changed, cut.tensors)


class Gain(nn.Module):
    """A learnt factor."""

    def __init__(self, start: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(start))

    def forward(self, values: Tensor) -> Tensor:
        """Return the values times the factor."""
        return values * self.factor
