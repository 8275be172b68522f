"""Each task alone: the baseline that sharing is compared with."""

from collections.abc import Sequence

from mtl_cli.backbones.base import BackboneFactory
from mtl_cli.batch import Inputs
from mtl_cli.features import run_stages
from mtl_cli.layers.named_modules import NamedModules
from mtl_cli.sharing.base import Shared, Sharing


class Independent(Sharing):
    """One backbone per task, seeded by the task's name: side by side in one run, yet nothing in common."""

    def __init__(self, *, backbone: BackboneFactory, tasks: Sequence[str]) -> None:
        super().__init__()
        alone = {task: backbone.alone(task) for task in tasks}
        self.trunks = NamedModules({task: factory(task) for task, factory in alone.items()})
        self.specs = {task: factory.specs[-1] for task, factory in alone.items()}

    def forward(self, inputs: Inputs, tasks: Sequence[str], boundary: bool = False) -> Shared:
        """Return each task's features from its own backbone."""
        return Shared({task: run_stages(self.trunks[task], inputs) for task in tasks})
