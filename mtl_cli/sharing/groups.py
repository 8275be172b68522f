"""Groups of tasks that share a trunk."""

from collections.abc import Sequence

from mtl_cli.backbones.base import BackboneFactory
from mtl_cli.batch import Inputs
from mtl_cli.errors import UserError, nearest
from mtl_cli.features import Boundary, Features, run_stages
from mtl_cli.layers.named_modules import NamedModules
from mtl_cli.sharing.base import Shared, Sharing


class Groups(Sharing):
    """One backbone for each group of tasks, shared within the group and with no other: hard sharing, group by group.

    Source: Standley et al., "Which Tasks Should Be Learned Together in Multi-task Learning?", ICML 2020. `mtl-affinity`
    finds groups and writes them as configs.

    Also called: task grouping, TAG.

    Args:
        groups: lists of tasks; a task that is in none has a backbone of its own; None puts all into one group, which is
            hard sharing.
        backbone: makes the trunks.
        tasks: names of all tasks.

    Raises:
        ValueError: a group is empty, or names a task that is unknown or in a group already.
    """

    has_boundary = True

    def __init__(
        self, groups: Sequence[Sequence[str]] | None, *, backbone: BackboneFactory, tasks: Sequence[str]
    ) -> None:
        super().__init__()
        self.groups = complete([list(tasks)] if groups is None else groups, tasks)
        self.trunk_of = {task: group[0] for group in self.groups for task in group}
        copies = {group[0]: "0" if len(self.groups) == 1 else group[0] for group in self.groups}
        self.trunks = NamedModules({group[0]: backbone(copies[group[0]], tasks=group) for group in self.groups})
        self.specs = dict.fromkeys(tasks, backbone.specs[-1])

    def forward(self, inputs: Inputs, tasks: Sequence[str], boundary: bool = False) -> Shared:
        """Return the output of each task's trunk; these outputs are also the boundary."""
        cut, made = Boundary(boundary), dict[str, Features]()
        for name in dict.fromkeys(self.trunk_of[task] for task in tasks):
            made[name] = cut.hand_over_features(run_stages(self.trunks[name], inputs))
        return Shared({task: made[self.trunk_of[task]] for task in tasks}, cut.tensors)


def complete(groups: Sequence[Sequence[str]], tasks: Sequence[str]) -> list[list[str]]:
    """Return the groups, each in the order of all tasks, and one of its own for each task that is in none.

    Raises:
        ValueError: a group is empty, or names a task that is unknown or in a group already; all of them are listed.
    """
    named = [task for group in groups for task in group]
    problems = [
        f"sharing.groups names the task '{task}'.{nearest(task, tasks)} The tasks: {', '.join(tasks)}."
        for task in dict.fromkeys(named)
        if task not in tasks
    ]
    problems += [
        f"sharing.groups names the task '{task}' {named.count(task)} times. Put it into one group."
        for task in dict.fromkeys(named)
        if named.count(task) > 1
    ]
    if not all(groups):
        problems.append("sharing.groups has an empty group. Leave it out.")
    if problems:
        raise UserError(problems)
    found = [*groups, *([task] for task in tasks if task not in named)]
    return [sorted(group, key=list(tasks).index) for group in found]
