"""Hierarchical sharing: tasks leave the trunk at different depths."""

from collections.abc import Mapping, Sequence

from mtl_cli.backbones.base import BackboneFactory
from mtl_cli.batch import Inputs
from mtl_cli.errors import UserError, nearest
from mtl_cli.features import Boundary, Features, run_stage
from mtl_cli.sharing.base import Shared, Sharing


class Hierarchical(Sharing):
    """One trunk; each task has its head on the stage that it is attached to: simple tasks low, complex ones high.

    Source: Søgaard and Goldberg, "Deep multi-task learning with low level tasks supervised at lower layers", ACL 2016.
    Hashimoto et al., "A Joint Many-Task Model", EMNLP 2017, stacks tasks likewise; it differs from them in passing no
    label embeddings upwards.

    Args:
        attach: stage of a task, by number (1 = after the first) or name; a task left out has the last stage;
            None attaches all there, which is hard sharing.
        backbone: makes the trunk.
        tasks: names of all tasks.

    Raises:
        ValueError: `attach` names an unknown task or stage.
    """

    has_boundary = True

    def __init__(
        self, attach: Mapping[str, int | str] | None, *, backbone: BackboneFactory, tasks: Sequence[str]
    ) -> None:
        super().__init__()
        self.attach = dict.fromkeys(tasks, backbone.num_stages) | attached(attach or {}, backbone, tasks)
        self.lowest = min(self.attach.values())
        needed = backbone.up_to(max(self.attach.values()))
        self.trunk = needed()
        self.specs = {task: needed.specs[stage] for task, stage in self.attach.items()}

    def forward(self, inputs: Inputs, tasks: Sequence[str], boundary: bool = False) -> Shared:
        """Return the features of each task's stage, running no stage above the highest one needed.

        The boundary is the lowest stage that any task of the run is attached to.
        """
        features: dict[str, Features] = {}
        cut = Boundary(boundary)
        x: Inputs | Features = inputs
        for index in range(max(self.attach[task] for task in tasks) + 1):
            x = run_stage(self.trunk[index], x)
            if index == self.lowest:
                x = cut.hand_over_features(x)
            features |= {task: x for task in tasks if self.attach[task] == index}
        return Shared({task: features[task] for task in tasks}, cut.tensors)


def attached(attach: Mapping[str, int | str], backbone: BackboneFactory, tasks: Sequence[str]) -> dict[str, int]:
    """Return the number of each task's stage.

    Raises:
        ValueError: an unknown task or stage; all of them are listed.
    """
    stages, problems = {}, []
    for task, stage in attach.items():
        if task not in tasks:
            hint = nearest(task, tasks)
            problems.append(f"sharing.attach has an unknown task '{task}'.{hint} The tasks: {', '.join(tasks)}.")
        try:
            stages[task] = backbone.stage_index(stage)
        except ValueError as error:
            problems.append(f"sharing.attach.{task} is {stage!r}. {error}")
    if problems:
        raise UserError(problems)
    return stages
