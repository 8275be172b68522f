"""Measures what each weighting costs: the time of an optimizer step as a ratio to that of a plain summed loss.

All run in one process in interleaved windows; the figures are medians and quartiles of the windows' ratios. The model
is a convolutional trunk of 1.1 M parameters with one linear head per task, on one dataset, with batches of 128 random
images of 28×28, float32 and SGD.
Usage: python scripts/benchmark_weightings.py [--tasks 2,8,32] [--only pcgrad,famo] [--windows 9] [--seconds 1.0]
       [--threads 1] [--output FILE.csv]
"""

import argparse
import csv
import importlib
import itertools
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor, nn
from torch.nn import functional as F

from mtl_cli.config.shipped import conf_dir
from mtl_cli.weightings.base import LossWeighting, Weighting
from mtl_cli.weightings.linalg.jacobian import Jacobian, gramian
from mtl_cli.weightings.row_base import RowWeighting
from mtl_cli.weightings.step_base import Partition, Pass

BATCH, CLASSES = 128, 10
LIMITS = {"parameters": "1.05 of the loop", "losses": "1.05", "famo": "1.4", 8: "1.10", 32: "1.35"}


class Net(nn.Module):
    """Three convolutions and a dense layer, 1.1 M parameters, and a linear head for each task."""

    def __init__(self, num_tasks: int) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            *[nn.Conv2d(1, 32, 3, padding=1), nn.ReLU()],
            *[nn.Conv2d(32, 64, 3, stride=2, padding=1), nn.ReLU()],
            *[nn.Conv2d(64, 64, 3, stride=2, padding=1), nn.ReLU()],
            *[nn.Flatten(), nn.Linear(64 * 49, 336), nn.ReLU()],
        )
        self.heads = nn.ModuleDict({f"task{i}": nn.Linear(336, CLASSES) for i in range(num_tasks)})


class Step:
    """A step over one fixed batch, in as many equal parts as the weighting draws."""

    index, seed, num_passes, logging, keeps_graph = 0, 0, 1, False, True

    def __init__(self, net: Net, num_draws: int) -> None:
        self.num_draws = num_draws
        self.net, self.tasks = net, tuple(net.heads)
        trunk = list(net.trunk.parameters())
        specific = {task: list(head.parameters()) for task, head in net.heads.items()}
        self.partition = Partition(trunk, specific, trunk, list(itertools.chain(*specific.values())))
        stream = torch.Generator().manual_seed(0)
        self.images = torch.randn(BATCH, 1, 28, 28, generator=stream).tensor_split(num_draws)
        labels = torch.randint(CLASSES, (len(self.tasks), BATCH), generator=stream)
        self.labels = labels.tensor_split(num_draws, dim=1)

    def passes(self, draw: int = 0, boundary: bool = False) -> Iterator[Pass]:
        """Yield one forward over a draw's images."""
        features = self.net.trunk(self.images[draw])
        if boundary:
            features = features.view_as(features)
        losses = {
            task: F.cross_entropy(head(features), self.labels[draw][row]) * self.share(task, draw)
            for row, (task, head) in enumerate(self.net.heads.items())
        }
        yield Pass(losses, [features] if boundary else [], 0)

    def share(self, task: str, draw: int) -> float:
        """Return the part of the labels that a draw holds."""
        return len(self.images[draw]) / BATCH

    def replay(self) -> Iterator[Pass]:
        """Yield the forward once more."""
        return self.passes()

    @torch.no_grad()
    def losses_now(self) -> dict[str, Tensor]:
        """Return the losses of a second forward."""
        return next(self.passes()).losses

    def total(self, part: Tensor) -> Tensor:
        """Return what the one process has of the step."""
        return part

    def sum_rows(self, jacobian: Jacobian) -> None:
        """Leave the rows of the one process as they are."""

    def sum_gradients(self) -> None:
        """Leave the gradients of the one process as they are."""

    def note(self, name: str, value: Tensor) -> None:
        """Drop what a weighting has to say: no step here is logged."""


def make(method: str, tasks: tuple[str, ...], **overrides: object) -> Weighting:
    """Return a weighting with the arguments of its YAML."""
    arguments: dict[str, Any] = yaml.safe_load((conf_dir() / "weighting" / f"{method}.yaml").read_text("utf-8"))
    arguments = {key: tasks[0] if value == "???" else value for key, value in arguments.items()}
    module, _, name = arguments.pop("_target_").rpartition(".")
    weighting: Weighting = vars(importlib.import_module(module))[name](**{**arguments, **overrides}, tasks=tasks)
    return weighting


def weighted_step(method: str, num_tasks: int, **overrides: object) -> Callable[[], None]:
    """Return a function that takes one step under a weighting."""
    net = Net(num_tasks)
    weighting = make(method, tuple(net.heads), **overrides)
    step = Step(net, weighting.num_draws)
    groups: list[dict[str, Any]] = [{"params": list(net.parameters())}]
    groups += [{"params": list(weighting.parameters())}] if list(weighting.parameters()) else []
    optimizer = torch.optim.SGD(groups, lr=1e-4, fused=True)

    def take() -> None:
        optimizer.zero_grad(set_to_none=True)
        weighting.backward(step)
        optimizer.step()
        weighting.after_step(step)
        step.index += 1

    return take


def plain_step(num_tasks: int) -> Callable[[], None]:
    """Return a function that takes one step on the plain sum of losses, written by hand."""
    step = Step(Net(num_tasks), 1)
    optimizer = torch.optim.SGD(step.net.parameters(), lr=1e-4, fused=True)

    def take() -> None:
        optimizer.zero_grad(set_to_none=True)
        torch.stack(list(next(step.passes()).losses.values())).sum().backward()
        optimizer.step()

    return take


def loop_step(num_tasks: int) -> Callable[[], None]:
    """Return a function that takes one PCGrad step with a hand-written loop of `autograd.grad`."""
    step = Step(Net(num_tasks), 1)
    shared = step.partition.shared
    optimizer = torch.optim.SGD(step.net.parameters(), lr=1e-4, fused=True)
    weighting: Any = make("pcgrad", step.tasks)

    def take() -> None:
        optimizer.zero_grad(set_to_none=True)
        losses = next(step.passes()).losses
        rows = []
        for number, (task, loss) in enumerate(losses.items()):
            own = step.partition.specific[task]
            grads = torch.autograd.grad(loss, [*shared, *own], retain_graph=number + 1 < num_tasks)
            rows.append(torch.cat([grad.flatten() for grad in grads[: len(shared)]]))
            for parameter, grad in zip(own, grads[len(shared) :], strict=True):
                parameter.grad = grad
        jacobian = torch.stack(rows)
        weights = weighting(gramian(jacobian), torch.zeros(num_tasks), torch.arange(num_tasks))
        update = (weights.float() @ jacobian).split([parameter.numel() for parameter in shared])
        for parameter, piece in zip(shared, update, strict=True):
            parameter.grad = piece.view_as(parameter)
        optimizer.step()

    return take


def time_window(take: Callable[[], None], seconds: float) -> float:
    """Return the seconds a step takes, over a window of that length or three steps.

    With one thread these are the process's own seconds on the CPU, which other processes disturb least.
    """
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    steps, start = 0, clock()
    while steps < 3 or clock() - start < seconds:
        take()
        steps += 1
    return (clock() - start) / steps


def compare(ours: Callable[[], None], base: Callable[[], None], windows: int, seconds: float) -> list[float]:
    """Return the sorted ratios of a step of ours to one of the base, window by window, in turns."""
    for take in (ours, base):
        take()
    ratios = []
    for window in range(windows):
        if window % 2:
            theirs, mine = time_window(base, seconds), time_window(ours, seconds)
        else:
            mine, theirs = time_window(ours, seconds), time_window(base, seconds)
        ratios.append(mine / theirs)
    return sorted(ratios)


def cases(num_tasks: int, only: set[str]) -> Iterator[tuple[str, str, str, Callable[[], None], Callable[[], None]]]:
    """Yield name, base, limit and both steps of everything that is compared at a number of tasks."""
    plain = plain_step(num_tasks)
    loop = loop_step(num_tasks)
    if not only or "pcgrad" in only:
        yield "hand-written loop, PCGrad", "plain sum", "", loop, plain
        yield "pcgrad, parameters", "the loop", "1.05", weighted_step("pcgrad", num_tasks), loop
    for path in sorted((conf_dir() / "weighting").glob("*.yaml")):
        method = path.stem
        if only and method not in only:
            continue
        weighting = make(method, ("a", "b"))
        if isinstance(weighting, LossWeighting):
            yield method, "plain sum", LIMITS.get(method, LIMITS["losses"]), weighted_step(method, num_tasks), plain
        elif isinstance(weighting, RowWeighting):
            yield f"{method}, parameters", "plain sum", "", weighted_step(method, num_tasks), plain
            if "features" in weighting.levels:
                limit = LIMITS.get(num_tasks, "")
                yield (
                    f"{method}, features", "plain sum", limit,
                    weighted_step(method, num_tasks, level="features"), plain,
                )  # fmt: skip


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", default="2,8,32")
    parser.add_argument("--only", default="")
    parser.add_argument("--windows", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    only = {name for name in arguments.only.split(",") if name}
    rows = []
    print(f"{'tasks':>5}  {'weighting':<28}{'against':<12}{'median':>7}{'quartiles':>14}  limit")
    for num_tasks in map(int, arguments.tasks.split(",")):
        for name, base, limit, ours, theirs in cases(num_tasks, only):
            ratios = compare(ours, theirs, arguments.windows, arguments.seconds)
            low, median, high = statistics.quantiles(ratios, n=4)
            rows.append([num_tasks, name, base, f"{median:.3f}", f"{low:.3f}", f"{high:.3f}", limit])
            print(f"{num_tasks:>5}  {name:<28}{base:<12}{median:>7.3f}{low:>7.2f}–{high:<6.2f}  {limit}", flush=True)
    if arguments.output:
        with arguments.output.open("w", newline="") as file:
            header = ["tasks", "weighting", "against", "median", "low", "high", "limit"]
            csv.writer(file).writerows([header, *rows])


if __name__ == "__main__":
    main()
