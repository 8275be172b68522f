"""Cross-stitch networks."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mtl_cli.backbones.base import BackboneFactory
from mtl_cli.batch import Inputs
from mtl_cli.features import Boundary, Features, run_stage, stitch
from mtl_cli.layers.named_modules import NamedModules
from mtl_cli.sharing.base import Shared, Sharing
from mtl_cli.sharing.column_base import hand_over_columns, partner_groups

UNITS = ("per_task", "per_channel")


class CrossStitch(Sharing):
    """One backbone per task; after each stage the tasks' features are mixed linearly: x̃ₜ = Σₛ αₜₛ xₛ.

    Source: Misra, Shrivastava, Gupta, Hebert, "Cross-stitch Networks for Multi-task Learning", CVPR 2016, eq. 1.
    Differs from it in that α has the optimizer's learning rate, and backbones are not pre-trained on their tasks.
    A skip is what was stitched before a stage kept it; skips that a stage makes itself stay those of their column.
    Tasks of different datasets do not see the same inputs: under `partners=dataset` each dataset has an α of its own,
    over its own tasks only, whose rows start with a sum of 1 without any renormalisation; a task that has a dataset to
    itself is not stitched. Under `partners=all` one α holds for all tasks, and every column runs on every dataset.

    Args:
        units: "per_task", α [T, T] per stage, or "per_channel", α [T, T, D].
        self_weight: initial α of a task's own features; the other T − 1 share 1 − `self_weight` equally.
        partners: columns that run together, "dataset" or "all" (see `mtl_cli.sharing.column_base.partner_groups`).
        backbone: makes the columns.
        tasks: names of all tasks.

    Raises:
        ValueError: an argument is not among its choices.
    """

    has_boundary = True

    def __init__(
        self, units: str, self_weight: float, partners: str, *, backbone: BackboneFactory, tasks: Sequence[str]
    ) -> None:
        super().__init__()
        if units not in UNITS:
            raise ValueError(f"sharing.units is '{units}'; it is one of {', '.join(UNITS)}.")
        if not math.isfinite(self_weight):
            raise ValueError(f"sharing.self_weight is {self_weight}; give a finite number, such as 0.9.")
        self.groups = partner_groups(partners, tasks, backbone.dataset_of)
        mates = {task: tasks if partners == "all" else [task] for task in tasks}
        self.columns = NamedModules({task: backbone(task, tasks=mates[task]) for task in tasks})
        named = {"all": list(tasks)} if partners == "all" else self.groups
        self.stitches = NamedModules()
        for name, group in named.items():
            if len(group) > 1:
                widths = [spec.width if units == "per_channel" else None for spec in backbone.specs[1:]]
                self.stitches[name] = nn.ModuleList(Stitch(group, width, self_weight) for width in widths)
        self.partners = partners
        self.specs = dict.fromkeys(tasks, backbone.specs[-1])

    def forward(self, inputs: Inputs, tasks: Sequence[str], boundary: bool = False) -> Shared:
        """Return the features of `tasks` after the last stitch; the boundary is the columns before it."""
        group = self.groups[inputs.dataset]
        columns = {task: list(self.columns[task].children()) for task in group}
        stitches = self._stitches(inputs.dataset)
        features = {task: run_stage(column[0], inputs) for task, column in columns.items()}
        last = len(columns[group[0]]) - 1
        cut = Boundary(boundary)
        for index in range(1, last + 1):
            features = {task: run_stage(column[index], features[task]) for task, column in columns.items()}
            if index == last:
                features = hand_over_columns(features, tasks, cut)
            if stitches:
                features = stitches[index - 1](features, tasks if index == last else group)
        return Shared({task: features[task] for task in tasks}, cut.tensors)

    def _stitches(self, dataset: str) -> list[nn.Module]:
        name = "all" if self.partners == "all" else dataset
        return list(self.stitches[name].children()) if name in self.stitches else []


class Stitch(nn.Module):
    """A cross-stitch unit over T tasks: α [T, T], or [T, T, D] where a width is given."""

    def __init__(self, tasks: Sequence[str], width: int | None, self_weight: float) -> None:
        super().__init__()
        self.tasks = list(tasks)
        size = len(self.tasks)
        weight = torch.full((size, size), (1.0 - self_weight) / (size - 1)).fill_diagonal_(self_weight)
        if width is not None:
            weight = weight.unsqueeze(-1).expand(size, size, width)
        self.weight = nn.Parameter(weight.clone())

    def forward(self, features: dict[str, Features], rows: Sequence[str]) -> dict[str, Features]:
        """Return the stitched features of the tasks in `rows`."""
        columns = [features[task].values for task in self.tasks]  # T of [B, ...]
        wanted = [self.tasks.index(task) for task in rows]
        weight: Tensor = self.weight if wanted == list(range(len(self.tasks))) else self.weight[wanted]
        mixed = stitch(weight, columns)
        return {task: features[task].replace(values) for task, values in zip(rows, mixed, strict=True)}
