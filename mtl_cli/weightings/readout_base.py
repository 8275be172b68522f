"""The last layers of tasks, for weightings that read them."""

from dataclasses import dataclass

from torch import Tensor

GAUSSIAN, BERNOULLI, CATEGORICAL = "gaussian", "bernoulli", "categorical"
"""Distributions of a label given the outputs, whose negative logarithm is the loss: normal around the outputs, a yes
or no per output, one of the outputs' classes."""


@dataclass(frozen=True)
class Readout:
    """The last layer of a task in a pass: outputs = inputs·weightᵀ + bias.

    `inputs` [B, D] are in the graph of the pass and the same for all tasks of a dataset. `weight` is [O, D], `bias`
    [O]. `target` [B, O] is on the scale of the mean of the `likelihood`: numbers, 0 and 1, or one 1 among the classes.
    `marks` [B, O], or [B, 1] of a categorical likelihood, say where a label is. In the losses of the pass, the mean
    loss of a row's outputs is multiplied by `scale`.
    """

    dataset: str
    inputs: Tensor
    weight: Tensor
    bias: Tensor
    target: Tensor
    marks: Tensor
    likelihood: str
    scale: float


@dataclass(frozen=True)
class LastLayer:
    """What a run knows of a task's last layer: its likelihood and its shape (O, D), or why it cannot be read."""

    likelihood: str = ""
    shape: tuple[int, int] = (0, 0)
    problem: str = ""
