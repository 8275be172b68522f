"""Rows of gradients of many tasks from one backward: each task has its own view of the features."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Views:
    """The losses of tasks that are computed as one in a pass whose boundary was asked for.

    All of them start from the same `features` [B, D]. Each one reads its own view of them, a row of `values`
    [T, B, D]. So one backward of all losses gives the gradient of each at the features, where one common view would
    have their sum.
    """

    tasks: tuple[str, ...]
    """The K tasks that have a label in the pass."""
    losses: Tensor
    """Their losses [K], as `Pass.losses` holds them."""
    places: Tensor | None
    """Their rows [K] among the T views; None where every task has a label."""
    features: Tensor
    values: Tensor
    parameters: Sequence[nn.Parameter]
    """Those of the heads, [T, ...] each."""

    def rows(self) -> Tensor:
        """Return the gradients [K, B, D] at the features; the heads' parameters get those of their own losses."""
        if not self.values.requires_grad:
            self.losses.sum().backward(inputs=list(self.parameters))
            return torch.zeros_like(self.values if self.places is None else self.values[self.places])
        self.losses.sum().backward(inputs=[self.values, *self.parameters])
        found = self.values.grad
        assert found is not None, "every loss depends on its view"
        self.values.grad = None
        return found if self.places is None else found[self.places]

    def at(self, tensor: Tensor, rows: Tensor) -> Tensor | None:
        """Return gradients [K, B, D] at the features as those [K, F] at a tensor which the features are made of.

        None where they do not depend on it.
        """
        if tensor is self.features:
            return rows.flatten(1)
        ask = partial(torch.autograd.grad, self.features, tensor, retain_graph=True, allow_unused=True)
        found = [ask(row.to(self.features.dtype)) for row in rows]
        flat = [gradient.flatten() for (gradient,) in found if gradient is not None]
        return torch.stack(flat) if flat else None
