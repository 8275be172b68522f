"""Extraction levels, of which `cgc` has one and `ple` several."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mtl_cli.backbones.base import BackboneFactory
from mtl_cli.features import Boundary, Features, pool
from mtl_cli.layers.named_modules import NamedModules
from mtl_cli.sharing.base import Sharing
from mtl_cli.sharing.expert_base import Gate, Stack, count_problems, join_stacks, run_experts, split_point


class Extraction(Sharing):
    """A shared trunk below levels of shared and task experts, which are copies of the last stages."""

    has_boundary = True

    def __init__(
        self,
        num_shared_experts: int,
        num_task_experts: int,
        expert_stages: int,
        *,
        backbone: BackboneFactory,
        tasks: Sequence[str],
    ) -> None:
        super().__init__()
        problems = count_problems(num_shared_experts=num_shared_experts, num_task_experts=num_task_experts)
        split = split_point(backbone.specs, expert_stages, problems)

        def level(start: int, stop: int) -> ExtractionLevel:
            return ExtractionLevel(
                build=lambda copy: backbone(copy, start=start, stop=stop),
                seeded=backbone.seeded,
                name=backbone.names[start],
                width=backbone.specs[start - 1].width,
                tasks=tasks,
                num_shared=num_shared_experts,
                num_own=num_task_experts,
                is_last=stop == backbone.num_stages,
            )

        self.tasks = list(tasks)
        self.trunk = backbone(stop=split)
        self.add_levels(level, split + 1, backbone.num_stages)
        self.specs = dict.fromkeys(tasks, backbone.specs[-1])

    @abstractmethod
    def add_levels(self, level: Callable[[int, int], "ExtractionLevel"], first: int, last: int) -> None:
        """Add the levels whose experts are copies of the stages `first` … `last`.

        `level` returns a level whose experts are copies of the stages from its first argument to its second, inclusive.
        """


class SharedGate(nn.Module):
    """Softmax over the experts of every task and the shared ones: softmax(W x), W in blocks of rows, one per task."""

    def __init__(self, blocks: Mapping[str, nn.Linear], shared: nn.Linear) -> None:
        super().__init__()
        self.blocks, self.shared = NamedModules(blocks), shared

    def forward(self, x: Tensor) -> Tensor:
        """Return gates [B, ΣE] for pooled features [B, D]: the tasks' experts in order, then the shared ones."""
        logits = [block(x) for block in [*self.blocks.values(), self.shared]]
        return torch.softmax(torch.cat(logits, dim=-1), dim=-1)


class ExtractionLevel(nn.Module):
    """One level of Tang et al., RecSys 2020: shared experts, experts of each task, and a gate per task over both.

    Task k mixes its own and the shared experts, g^k(x) = w^k(x)·S^k(x) (eq. 1–3). Below the last level a shared gate
    mixes all experts for the shared input of the next level (section 4.2).

    Args:
        build: returns the stages of an expert, given the name of its copy.
        seeded: returns a context in which modules of that name are seeded.
        name: distinguishes this level's gates from those of other levels.
        width: D of the level's input.
        tasks: names of all tasks.
        num_shared: shared experts.
        num_own: experts of each task.
        is_last: whether no level follows, so that there is no shared gate.
    """

    def __init__(
        self, build: Callable[[str], nn.Module], seeded: Callable[[str], AbstractContextManager[None]], name: str,
        width: int, tasks: Sequence[str], num_shared: int, num_own: int, is_last: bool,
    ) -> None:  # fmt: skip
        super().__init__()
        self.shared = nn.ModuleList(build(str(e)) for e in range(num_shared))
        self.own = NamedModules({t: nn.ModuleList(build(f"{t}/{e}") for e in range(num_own)) for t in tasks})
        self.gates = NamedModules()
        for task in tasks:
            with seeded(f"gates/{name}/{task}"):
                self.gates[task] = Gate(width, num_own + num_shared)
        self.shared_gate: SharedGate | None = None
        if is_last:
            return
        blocks = {}
        for task in tasks:
            with seeded(f"shared_gate/{name}/{task}"):
                blocks[task] = nn.Linear(width, num_own, bias=False)
        with seeded(f"shared_gate/{name}"):
            self.shared_gate = SharedGate(blocks, nn.Linear(width, num_shared, bias=False))

    def forward(self, shared: Features, own: Mapping[str, Features], tasks: Sequence[str]) -> "LevelOutput":
        """Return this level's output for `tasks`, where a level follows.

        `own` holds the input of every task, since the shared gate reads the experts of all; `shared` is the common one.
        """
        assert self.shared_gate is not None, "the last level goes by `last`"
        common = run_experts(self.shared, shared)
        stacks = {task: self._run_own(task, x) for task, x in own.items()}
        everything = join_stacks([*stacks.values(), common])
        return LevelOutput(
            shared=everything.mix(self.shared_gate(pool(shared))),
            own={task: self._mix(task, own[task], stacks[task], common) for task in tasks},
        )

    def last(
        self, shared: Features, own: Mapping[str, Features], boundary: bool
    ) -> tuple[dict[str, Features], list[Tensor]]:
        """Return the features of the tasks in `own` and, if asked for, the boundary: shared experts and inputs."""
        cut = Boundary(boundary)
        common = run_experts(self.shared, shared).handed_over(cut)
        own = {task: cut.hand_over_features(x) for task, x in own.items()}
        features = {task: self._mix(task, x, self._run_own(task, x), common) for task, x in own.items()}
        return features, cut.tensors

    def _run_own(self, task: str, x: Features) -> Stack:
        experts = self.own[task]
        assert isinstance(experts, nn.ModuleList)
        return run_experts(experts, x)

    def _mix(self, task: str, x: Features, own: Stack, common: Stack) -> Features:
        return join_stacks([own, common]).mix(self.gates[task](pool(x)))


@dataclass(frozen=True)
class LevelOutput:
    """Inputs of the next level: the shared one and those of tasks."""

    shared: Features
    own: dict[str, Features]
