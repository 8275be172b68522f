"""Learning to branch."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mtl_cli.backbones.base import BackboneFactory
from mtl_cli.batch import Inputs
from mtl_cli.errors import UserError
from mtl_cli.features import Boundary, Features, run_stages, sum_products
from mtl_cli.layers.named_modules import NamedModules
from mtl_cli.seeding import generator
from mtl_cli.sharing.base import Shared, Sharing
from mtl_cli.sharing.expert_base import count_problems

OPEN = -1
FIRST = 0.01
"""The least part of training that the temperature is computed from, which is infinite at 0."""


class LTB(Sharing):
    """A tree that is learnt: several copies of each stage, each of which reads one copy of the stage below.

    Which one is a choice with logits α. While branches are searched, each step draws a parent for every copy and task,
    argmaxⱼ (αⱼ + gⱼ) with Gumbel noise g, and α learns through softmax((α + g) / τ), whose temperature
    τ = temperature / √(part of training that is done) falls. Then every choice is fixed at its largest α, and copies
    that no task of a batch leads to no longer run. Evaluations take the largest α.

    Source: Guo, Lee & Ulbricht, "Learning to Branch for Multi-Task Learning", ICML 2020. There is no official code; the
    warm-up and the falling temperature are like those of LibMTL, where the warm-up reads the sum of all parents.
    Differs from it in that the warm-up reads their mean, so that no scale jumps at its end; that the tree goes on with
    the weights of the search instead of being trained anew; and that the stem is one for all. Which parameters are
    shared is found before the search, so that a copy that only one task kept still counts as shared.

    Args:
        num_branches: copies of each stage.
        search_from: part of training at whose end the search begins.
        search_until: part of training at whose end it ends.
        temperature: τ at the end of training.
        backbone: makes the copies.
        tasks: names of all tasks.

    Raises:
        ValueError: an argument is out of its range.
    """

    has_boundary = True
    runs_whole_modules = False

    def __init__(
        self,
        num_branches: int,
        search_from: float,
        search_until: float,
        temperature: float,
        *,
        backbone: BackboneFactory,
        tasks: Sequence[str],
    ) -> None:
        super().__init__()
        if problems := setting_problems(num_branches, search_from, search_until, temperature):
            raise UserError(problems)
        self.search_from, self.search_until, self.temperature = search_from, search_until, temperature
        self.stem = backbone(stop=0)
        self.levels = nn.ModuleList(
            nn.ModuleList(backbone(str(copy), start=stage, stop=stage) for copy in range(num_branches))
            for stage in range(1, backbone.num_stages + 1)
        )
        self.parents = nn.ModuleList(Choice(num_branches, num_branches) for _ in self.levels[1:])
        self.ends = NamedModules({task: Choice(1, num_branches) for task in tasks})
        self.seed, self.index, self.done = 0, 0, 0.0
        self.specs = dict.fromkeys(tasks, backbone.specs[-1])

    def start_step(self, seed: int, index: int, done: float) -> None:
        """Take note of the step, which seeds what is drawn; fix the choices once the search is over."""
        self.seed, self.index, self.done = seed, index, done
        for choice in (*self.parents, *self.ends.values()):
            assert isinstance(choice, Choice)
            if done >= self.search_until:
                choice.fix()
            else:
                choice.open()

    def forward(self, inputs: Inputs, tasks: Sequence[str], boundary: bool = False) -> Shared:
        """Return each task's features; the boundary is the copies of the last stage."""
        x = run_stages(self.stem, inputs)
        cut = Boundary(boundary)
        columns: dict[int, Features] = {}
        for number, (level, copies) in enumerate(zip(self.levels, self._running(tasks), strict=True)):
            assert isinstance(level, nn.ModuleList)
            read = dict.fromkeys(copies, x)
            if number > 0:
                read = self._read(self.parents[number - 1], f"parents/{number}", copies, columns)
            columns = {copy: run_stages(level[copy], read[copy]) for copy in copies}
        columns = {copy: cut.hand_over_features(column) for copy, column in columns.items()}
        ends = {task: self._read(self.ends[task], f"ends/{task}", [0], columns)[0] for task in tasks}
        return Shared(ends, cut.tensors)

    def _running(self, tasks: Sequence[str]) -> list[list[int]]:
        """Return the copies of each stage that the tasks may read, directly or through others."""
        readers: list[tuple[nn.Module, int]] = [(self.ends[task], 0) for task in tasks]
        running: list[list[int]] = []
        for number in reversed(range(len(self.levels))):
            running.insert(0, sorted({copy for choice, row in readers for copy in candidates(choice, row)}))
            readers = [(self.parents[number - 1], copy) for copy in running[0]] if number > 0 else []
        return running

    def _read(
        self, choice: nn.Module, name: str, rows: Sequence[int], columns: Mapping[int, Features]
    ) -> dict[int, Features]:
        """Return what the given children of a choice read, from the features of their possible parents."""
        assert isinstance(choice, Choice)
        if choice.fixed is not None:
            return {row: columns[choice.fixed[row]] for row in rows}
        weights = self._weights(choice, name)
        return {row: mix(weights[row], list(columns.values())) for row in rows}

    def _weights(self, choice: "Choice", name: str) -> Tensor:
        """Return the weights [rows, N] of the parents: equal in the warm-up, then 1 for one and 0 for the others."""
        logits = choice.logits
        if self.training and self.done < self.search_from:
            return 0 * logits + 1 / logits.shape[1]  # the gradient of α is 0
        scores: Tensor = logits
        if self.training:
            noise = gumbel(logits.shape, self.seed, "branches", self.index, name)
            scores = logits + noise.to(logits.device, non_blocking=True)  # a step does not wait for the device
        soft = torch.softmax(scores * math.sqrt(max(self.done, FIRST)) / self.temperature, dim=1)
        places = torch.arange(logits.shape[1], device=logits.device)
        hard = (scores.argmax(dim=1, keepdim=True) == places).to(soft)
        return hard + (soft - soft.detach())


class Choice(nn.Module):
    """Which of N parents each of several children reads: logits α [rows, N], and what was chosen once it is fixed."""

    chosen: Tensor

    def __init__(self, rows: int, num_parents: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(rows, num_parents))
        self.register_buffer("chosen", torch.full((rows,), OPEN))
        self.fixed: list[int] | None = None
        """`chosen` as plain numbers, so that no step waits for the device; None while the choice is open."""

    def fix(self) -> None:
        """Choose the parents with the largest α."""
        if self.fixed is None:
            self.chosen.copy_(self.logits.detach().argmax(dim=1))
            self.fixed = self.chosen.tolist()

    def open(self) -> None:
        """Leave the choice open."""
        if self.fixed is not None:
            self.chosen.fill_(OPEN)
            self.fixed = None

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:  # noqa: ANN401
        super()._load_from_state_dict(state_dict, prefix, *args)
        chosen = self.chosen.tolist()
        self.fixed = None if OPEN in chosen else chosen


def candidates(choice: nn.Module, row: int) -> Sequence[int]:
    """Return the parents that a child may read."""
    assert isinstance(choice, Choice)
    return range(choice.logits.shape[1]) if choice.fixed is None else [choice.fixed[row]]


def mix(weights: Tensor, columns: Sequence[Features]) -> Features:
    """Return the sum of features of one kind, values and skips, under weights [N]; the mask is that of the first."""
    values = sum_products(weights, [column.values for column in columns])
    skips = zip(*[column.skips for column in columns], strict=True)
    return Features(values, columns[0].mask, tuple(sum_products(weights, skip) for skip in skips))


def gumbel(shape: torch.Size, *seed: int | str) -> Tensor:
    """Return standard Gumbel noise from the stream of that name."""
    return -torch.empty(shape).exponential_(generator=generator(*seed)).log()


def setting_problems(num_branches: int, search_from: float, search_until: float, temperature: float) -> list[str]:
    """Return what is wrong with the arguments of `LTB`."""
    problems = count_problems(num_branches=num_branches)
    if not 0 <= search_from < search_until <= 1:
        problems.append(
            f"sharing.search_from is {search_from} and sharing.search_until {search_until}; they are parts of training "
            "with 0 ≤ search_from < search_until ≤ 1. Use sharing.search_from=0.01 sharing.search_until=0.5."
        )
    if not (math.isfinite(temperature) and temperature > 0):
        problems.append(
            f"sharing.temperature is {temperature}; a temperature is a finite number > 0. Use sharing.temperature=0.5."
        )
    return problems
