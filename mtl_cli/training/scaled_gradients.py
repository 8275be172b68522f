"""Outputs of a model through which gradients flow back multiplied; see `mtl_cli.training.loss_scale`."""

from typing import Any

import torch
from torch import Tensor

from mtl_cli.heads.base import Output, change_output


class Multiplied(torch.autograd.Function):
    """The same values, whose gradient is multiplied by a number."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, factor: float) -> Tensor:  # noqa: ANN401  torch's context
        """Return the values."""
        ctx.factor = factor
        return values.view_as(values)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401  torch's context
        """Return the gradient times the factor."""
        return gradient * ctx.factor, None


def scaled(output: Output, factor: float) -> Output:
    """Return a head's output, floats of which multiply what flows back through them."""
    return change_output(
        lambda tensor: Multiplied.apply(tensor, factor) if tensor.requires_grad else tensor,
        output,
    )
