"""Experts and gates: what the mixture-of-experts modes have in common."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile

import torch
from torch import Tensor, nn

from mtl_cli.errors import UserError
from mtl_cli.features import Boundary, Features, FeatureSpec, mixture, run_stages


def count_problems(**counts: int) -> list[str]:
    """Return what is wrong with the numbers given as `sharing.<name>`: each is at least 1."""
    return [
        f"sharing.{name} is {value}; at least 1 is needed. Use sharing.{name}=1."
        for name, value in counts.items()
        if value < 1
    ]


def split_point(specs: Sequence[FeatureSpec], expert_stages: int, problems: Sequence[str]) -> int:
    """Return the last stage of the trunk when experts are copies of the last `expert_stages` stages.

    `specs` are those of the backbone's features, stem included. Experts that are whole backbones are for vector inputs,
    since the gate reads the pooled features at the split. `problems` are what is known to be wrong with other settings.

    Raises:
        UserError: the backbone has too few stages for that, or there are other problems.
    """
    stages = len(specs) - 1
    most = stages if specs[0].kind == "vector" else stages - 1
    found = [*problems, *split_problems(stages, most, expert_stages, specs[0].kind)]
    if found:
        raise UserError(found)
    return stages - expert_stages


def split_problems(stages: int, most: int, expert_stages: int, kind: str) -> list[str]:
    """Return what is wrong with splitting off `expert_stages` of `stages` stages, where at most `most` can be."""
    if 1 <= expert_stages <= most:
        return []
    if most < 1:
        return [
            f"sharing.expert_stages is {expert_stages}, but the backbone has {stages} stage after its stem, which "
            f"gives a {kind}: no stage is left for the trunk, whose features the gates read. "
            "Use a deeper backbone or sharing=hard."
        ]
    valid = "1" if most == 1 else f"1 to {most}"
    return [
        f"sharing.expert_stages is {expert_stages}; this backbone allows {valid}. Use sharing.expert_stages={most}."
    ]


@dataclass(frozen=True)
class Stack:
    """Outputs of several experts: values [B, E, ...] under one mask.

    `passed` are the skips that are the same for all experts, [B, ...]; `skips`, the later ones, are [B, E, ...].
    """

    values: Tensor
    mask: Tensor | None
    passed: tuple[Tensor, ...] = ()
    skips: tuple[Tensor, ...] = ()

    def mix(self, gates: Tensor) -> Features:
        """Return the mixture of the experts, values and skips, under gates [B, E]."""
        skips = tuple(mixture(gates, skip) for skip in self.skips) if self.skips else ()
        return Features(mixture(gates, self.values), self.mask, self.passed + skips)

    def handed_over(self, boundary: Boundary) -> "Stack":
        """Return the stack as tasks read it."""
        values = boundary.hand_over(self.values)
        passed = tuple(map(boundary.hand_over, self.passed))
        return Stack(values, self.mask, passed, tuple(map(boundary.hand_over, self.skips)))

    def stacked_skips(self, start: int) -> list[Tensor]:
        """Return the skips from number `start` on, each [B, E, ...]."""
        experts = self.values.shape[1]
        passed = [skip.unsqueeze(1).expand(-1, experts, *skip.shape[1:]) for skip in self.passed[start:]]
        return [*passed, *self.skips]


def run_experts(experts: Iterable[nn.Module], x: Features) -> Stack:
    """Return the outputs of all experts on `x`."""
    outputs = [run_stages(expert, x) for expert in experts]
    values = torch.stack([output.values for output in outputs], dim=1)  # [B, E, ...]
    if not outputs[0].skips:
        return Stack(values, outputs[0].mask)
    passed = common_start([output.skips for output in outputs])
    further = zip(*[output.skips[len(passed) :] for output in outputs], strict=True)
    return Stack(values, outputs[0].mask, passed, tuple(torch.stack(skips, dim=1) for skips in further))


def join_stacks(stacks: Sequence[Stack]) -> Stack:
    """Return the experts of several stacks in one, in order."""
    values = torch.cat([stack.values for stack in stacks], dim=1)
    if not (stacks[0].passed or stacks[0].skips):
        return Stack(values, stacks[0].mask)
    passed = common_start([stack.passed for stack in stacks])
    further = zip(*[stack.stacked_skips(len(passed)) for stack in stacks], strict=True)
    return Stack(values, stacks[0].mask, passed, tuple(torch.cat(skips, dim=1) for skips in further))


def common_start(skips: Sequence[Sequence[Tensor]]) -> tuple[Tensor, ...]:
    """Return the first skips as far as they are the same tensors in all."""
    same = takewhile(lambda each: all(skip is each[0] for skip in each), zip(*skips, strict=False))
    return tuple(each[0] for each in same)


class Gate(nn.Module):
    """Softmax over E experts: softmax(W x), without bias."""

    def __init__(self, width: int, num_experts: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, num_experts, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return gates [B, E] for pooled features [B, D]."""
        return torch.softmax(self.linear(x), dim=-1)
