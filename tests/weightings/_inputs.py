"""Gramians and small training steps over which every weighting is checked."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor, nn

from mtl_cli.weightings.base import LossWeighting, Weighting
from mtl_cli.weightings.gradient_base import GradientWeighting
from mtl_cli.weightings.last_layer_base import LastLayerWeighting
from mtl_cli.weightings.linalg.jacobian import Jacobian
from mtl_cli.weightings.readout_base import Readout
from mtl_cli.weightings.row_base import RowWeighting
from mtl_cli.weightings.step_base import Partition, Pass

CONF = Path(__file__).parents[2] / "conf" / "weighting"
METHODS = sorted(path.stem for path in CONF.glob("*.yaml"))
assert METHODS


def load_class(method: str) -> type[Weighting]:
    module, name = config(method)["_target_"].rsplit(".", 1)
    return getattr(__import__(module, fromlist=[name]), name)


def config(method: str, first: str = "task0") -> dict[str, Any]:
    """Return the YAML of a method; where it wants a task (???), the one given."""
    node = yaml.safe_load((CONF / f"{method}.yaml").read_text())
    return {key: first if value == "???" else value for key, value in node.items()}


def make(method: str, num_tasks: int, names: Sequence[str] | None = None, **overrides: object) -> Weighting:
    names = names or task_names(num_tasks)
    arguments = {key: value for key, value in config(method, names[0]).items() if key != "_target_"}
    unknown = set(overrides) - set(arguments)
    assert not unknown, f"{method} has no {unknown}"
    return load_class(method)(**{**arguments, **overrides}, tasks=names)


def task_names(num_tasks: int) -> tuple[str, ...]:
    return tuple(f"task{index}" for index in range(num_tasks))


GRADIENT_METHODS = [method for method in METHODS if issubclass(load_class(method), GradientWeighting)]
ROW_METHODS = [method for method in METHODS if issubclass(load_class(method), RowWeighting)]
LOSS_METHODS = [method for method in METHODS if issubclass(load_class(method), LossWeighting)]
LAST_LAYER_METHODS = [method for method in METHODS if issubclass(load_class(method), LastLayerWeighting)]
assert set(METHODS) == {*ROW_METHODS, *LOSS_METHODS, *LAST_LAYER_METHODS}
assert len(LOSS_METHODS) >= 11
assert len(ROW_METHODS) >= 19


def jacobian(num_tasks: int, seed: int = 0, width: int = 30, spread: float = 1.0) -> Tensor:
    """Return rows [K, width] in float64; norms spread log-uniformly over a factor of `spread`."""
    stream = torch.Generator().manual_seed(seed)
    rows = torch.randn(num_tasks, width, dtype=torch.float64, generator=stream)
    return rows * spread ** torch.rand(num_tasks, 1, dtype=torch.float64, generator=stream)


def positive_losses(num_tasks: int, seed: int = 0) -> Tensor:
    return torch.rand(num_tasks, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) + 0.5


def zoo() -> dict[str, Tensor]:
    """Return Jacobians that break careless implementations, by name."""
    cases = {}
    for num_tasks in (2, 5, 12):
        for seed in range(3):
            rows = jacobian(num_tasks, seed, width=6 if seed else 30)  # wide: independent; narrow: conflicting
            cases[f"random-{num_tasks}-{seed}"] = rows
        rows = jacobian(num_tasks, 7)
        for exponent in (-8, -4, 4, 8):
            cases[f"scale-{num_tasks}-1e{exponent}"] = rows * 10.0**exponent
        cases[f"apart-{num_tasks}"] = jacobian(num_tasks, 3, spread=1e4)
        cases[f"far-{num_tasks}"] = rows * torch.logspace(-4, 0, num_tasks, dtype=torch.float64)[:, None]
        cases[f"zero-{num_tasks}"] = torch.cat([rows[:-1], torch.zeros_like(rows[:1])])
        cases[f"duplicate-{num_tasks}"] = torch.cat([rows[:-1], rows[:1]])
        cases[f"opposite-{num_tasks}"] = torch.cat([rows[:-1], -rows[:1]])
        cases[f"longer-opposite-{num_tasks}"] = torch.cat([rows[:-1], -3 * rows[:1]])
    cases["all-zero"] = torch.zeros(3, 4, dtype=torch.float64)
    cases["single"] = jacobian(1)
    cases["single-tiny"] = jacobian(1) * 1e-8
    return cases


class Net(nn.Module):
    """A two-layer trunk and one head a task."""

    def __init__(self, num_tasks: int, width: int = 6) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(4, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh())
        self.heads = nn.ModuleDict({name: nn.Linear(width, 1) for name in task_names(num_tasks)})

    def losses(self, inputs: Tensor, targets: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[Tensor]]:
        features = self.trunk(inputs)
        features = features.view_as(features)
        outputs = {task: self.heads[task](features).squeeze(-1) for task in targets}
        losses = {task: (outputs[task] - target).square().mean() for task, target in targets.items()}
        return losses, [features]

    def partition(self) -> Partition:
        trunk = list(self.trunk.parameters())
        specific = {task: list(head.parameters()) for task, head in self.heads.items()}
        return Partition(trunk, specific, trunk, [p for own in specific.values() for p in own])


@dataclass
class TinyStep:
    """A step over fixed random data: `num_passes` micro-batches in each of `num_draws` parts, all of equal size."""

    net: Net
    tasks: tuple[str, ...]
    index: int = 0
    seed: int = 0
    num_passes: int = 1
    num_draws: int = 1
    logging: bool = True
    scales: dict[str, float] = field(default_factory=dict)
    notes: dict[str, Tensor] = field(default_factory=dict)

    @property
    def keeps_graph(self) -> bool:
        return self.num_passes == 1

    def total(self, part: Tensor) -> Tensor:
        return part

    def sum_rows(self, jacobian: Jacobian) -> None:
        pass

    def sum_gradients(self) -> None:
        pass

    @property
    def partition(self) -> Partition:
        return self.net.partition()

    def passes(self, draw: int = 0, boundary: bool = False) -> Iterator[Pass]:
        stream = torch.Generator().manual_seed(1000 * self.seed + 10 * self.index)
        inputs = torch.randn(12, 4, generator=stream)
        targets = torch.randn(12, len(self.net.heads), generator=stream)
        columns = {task: targets[:, task_index] for task_index, task in enumerate(self.net.heads)}
        for micro, rows in enumerate(torch.arange(12).chunk(self.num_draws)[draw].chunk(self.num_passes)):
            here = {task: columns[task][rows] for task in self.tasks}
            losses, features = self.net.losses(inputs[rows], here)
            share = len(rows) / 12
            scaled = {task: loss * self.scales.get(task, 1.0) * share for task, loss in losses.items()}
            yield Pass(scaled, features if boundary else [], micro, partial(self.readouts, features[0], here))

    def readouts(self, features: Tensor, targets: dict[str, Tensor]) -> dict[str, Readout]:
        found = {}
        for task, target in targets.items():
            head, marks = self.net.heads[task], torch.ones(len(target), 1, dtype=torch.bool)
            scale = self.scales.get(task, 1.0) / 12
            layer = (features, head.weight, head.bias, target[:, None], marks)
            found[task] = Readout("one", *layer, likelihood="gaussian", scale=scale)
        return found

    def share(self, task: str, draw: int) -> float:
        return 1 / self.num_draws

    def replay(self) -> Iterator[Pass]:
        for draw in range(self.num_draws):
            yield from self.passes(draw)

    def losses_now(self) -> dict[str, Tensor]:
        totals: dict[str, Tensor] = {}
        with torch.no_grad():
            for each in self.replay():
                for task, loss in each.losses.items():
                    totals[task] = totals.get(task, torch.zeros(())) + loss
        return totals

    def condition(self, vector: Tensor) -> None:
        self.notes["condition"] = vector

    def note(self, name: str, value: Tensor) -> None:
        self.notes[name] = value


def net(num_tasks: int, seed: int = 0) -> Net:
    torch.manual_seed(seed)
    return Net(num_tasks)


def gradients(model: nn.Module) -> dict[str, Tensor]:
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
