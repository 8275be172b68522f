"""Layers of several networks in one: each sample has a row per member, [B·K, D], and members share matrices."""

import torch
from torch import Tensor, nn


def per_member(rows: Tensor, members: int) -> Tensor:
    """Return rows [B·K, ...] by member [B, K, ...]."""
    return rows.unflatten(0, (-1, members))


class Members(nn.Module):
    """Begins the members: vectors [B, D] become rows [B·K, D], each member's with factors and a bias of its own.

    The factors start as random signs, so that members differ from the first step on.
    """

    def __init__(self, members: int, width: int) -> None:
        super().__init__()
        self.factors = nn.Parameter(torch.randint(0, 2, (members, width)) * 2.0 - 1.0)
        self.bias = nn.Parameter(torch.zeros(members, width))

    def forward(self, vectors: Tensor) -> Tensor:
        """Return rows [B·K, D]."""
        return (vectors.unsqueeze(1) * self.factors + self.bias).flatten(0, 1)


class MemberLinear(nn.Module):
    """A matrix that all members share, with factors and a bias of each member: s_k ∘ W(r_k ∘ x) + b_k.

    Source: Wen, Tran, Ba, "BatchEnsemble", ICLR 2020, eq. 1. r and s start at 1.
    """

    def __init__(self, members: int, fan_in: int, width: int) -> None:
        super().__init__()
        self.members = members
        self.linear = nn.Linear(fan_in, width, bias=False)
        self.before = nn.Parameter(torch.ones(members, fan_in))
        self.after = nn.Parameter(torch.ones(members, width))
        self.bias = nn.Parameter(torch.zeros(members, width))

    def forward(self, rows: Tensor) -> Tensor:
        """Return rows [B·K, width] of rows [B·K, fan_in]."""
        mixed = self.linear((per_member(rows, self.members) * self.before).flatten(0, 1))
        return (per_member(mixed, self.members) * self.after + self.bias).flatten(0, 1)


class ResidualMembers(nn.Module):
    """x plus activation and dropout of a `MemberLinear`: what is linear in x is passed on as it is."""

    def __init__(self, members: int, width: int, activation: nn.Module, dropout: float) -> None:
        super().__init__()
        self.linear = MemberLinear(members, width, width)
        self.activation, self.dropout = activation, nn.Dropout(dropout)

    def forward(self, rows: Tensor) -> Tensor:
        """Return rows [B·K, width]."""
        return rows + self.dropout(self.activation(self.linear(rows)))
