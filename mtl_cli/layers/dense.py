"""Stacks of dense layers."""

from collections.abc import Callable, Sequence

from torch import nn

from mtl_cli.layers.named import activation


def dense_stages(
    fan_in: int, hidden: Sequence[int], activation_name: str, dropout: float
) -> dict[str, Callable[[], nn.Module]]:
    """Return builders of stages dense1 … denseN from vectors [B, fan_in]; each is linear – activation – dropout."""

    def build(width: int, out: int) -> Callable[[], nn.Module]:
        last = [nn.Dropout(dropout)] if dropout else []
        return lambda: nn.Sequential(nn.Linear(width, out), activation(activation_name), *last)

    widths = [fan_in, *hidden]
    return {f"dense{i + 1}": build(widths[i], widths[i + 1]) for i in range(len(hidden))}


def dense_stack(
    fan_in: int, hidden: Sequence[int], num_outputs: int, activation_name: str, dropout: float | None
) -> nn.Sequential:
    """Return linear – activation – dropout for each hidden width, then a linear layer to `num_outputs`.

    Where `dropout` is None, there are no modules for it; the numbers in the names of the parameters then differ.
    """
    layers: list[nn.Module] = []
    for out in hidden:
        layers += [nn.Linear(fan_in, out), activation(activation_name)]
        if dropout is not None:
            layers.append(nn.Dropout(dropout))
        fan_in = out
    return nn.Sequential(*layers, nn.Linear(fan_in, num_outputs))
