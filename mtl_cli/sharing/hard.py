"""Hard parameter sharing."""

from collections.abc import Sequence

from mtl_cli.backbones.base import BackboneFactory
from mtl_cli.batch import Inputs
from mtl_cli.features import Boundary, run_stages
from mtl_cli.sharing.base import Shared, Sharing


class Hard(Sharing):
    """One backbone for all tasks; only the heads differ.

    Source: Caruana, "Multitask Learning", Machine Learning 28, 1997 (first: ICML 1993).

    Also called: HPS.
    """

    has_boundary = True
    same_features = True

    def __init__(self, *, backbone: BackboneFactory, tasks: Sequence[str]) -> None:
        super().__init__()
        self.trunk = backbone()
        self.specs = dict.fromkeys(tasks, backbone.specs[-1])

    def forward(self, inputs: Inputs, tasks: Sequence[str], boundary: bool = False) -> Shared:
        """Return the trunk's output for every task; it is also the boundary."""
        cut = Boundary(boundary)
        features = cut.hand_over_features(run_stages(self.trunk, inputs))
        return Shared(dict.fromkeys(tasks, features), cut.tensors)
