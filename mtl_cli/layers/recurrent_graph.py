"""Recurrent layers in graphs: as one operator of ONNX, since torch.export unrolls them to a fixed number of steps."""

from typing import Any

import torch
from torch import Tensor, nn

GATES = {"GRU": (1, 0, 2), "LSTM": (0, 3, 1, 2)}
"""Where torch has the gates that ONNX wants in order: update, reset, new; and input, output, forget, cell."""


def in_graph(layer: nn.LSTM | nn.GRU, values: Tensor, lengths: Tensor) -> Tensor:
    """Return what a bidirectional layer gives for rows [B, L, D] of so many `lengths` [B]: [B, L, 2H], 0 in padding."""
    kind, hidden = layer.mode, layer.hidden_size
    weights = [stacked(layer, name, GATES[kind]) for name in ("weight_ih", "weight_hh")]
    bias = torch.cat([stacked(layer, name, GATES[kind]) for name in ("bias_ih", "bias_hh")], dim=1)
    attributes: dict[str, Any] = {"direction": "bidirectional", "hidden_size": hidden}
    attributes |= {"linear_before_reset": 1} if kind == "GRU" else {}
    out = torch.onnx.ops.symbolic(
        kind, [values.transpose(0, 1), *weights, bias, lengths.to(torch.int32)], attributes,
        dtype=values.dtype, shape=(values.shape[1], 2, values.shape[0], hidden), version=18,
    )  # fmt: skip  # [L, 2, B, H]
    return out.permute(2, 0, 1, 3).flatten(2)


def stacked(layer: nn.LSTM | nn.GRU, name: str, gates: tuple[int, ...]) -> Tensor:
    """Return a weight of both directions [2, gates · H, ...], its gates in another order."""
    both = [getattr(layer, f"{name}_l0{suffix}").unflatten(0, (len(gates), -1)) for suffix in ("", "_reverse")]
    return torch.stack([each[list(gates)].flatten(0, 1) for each in both])
