"""Training that compiles nothing does without torch._dynamo, whose import takes 0.75 s before the first step.

torch wraps some methods so that its compiler leaves them alone; the wrappers import the compiler when they are first
called, and optimizers do so in every step. Where torch's wrappers look otherwise than expected, all stays as it is.
"""

from collections.abc import Callable
from types import MethodType

import torch
from torch.optim import Optimizer
from torch.utils import flop_counter


def leave_out() -> None:
    """Let optimizers and the FLOP counter be made and used without the compiler's import."""
    counter = getattr(flop_counter, "_FlopCounterMode", None)
    methods = [getattr(Optimizer, name) for name in ("add_param_group", "zero_grad", "state_dict", "load_state_dict")]
    for method in [*methods, getattr(counter, "__torch_dispatch__", None)]:
        original = getattr(method, "__wrapped__", None)
        if original is not None:
            original.__dynamo_disable = original  # what the wrapper calls; else it asks the compiler for one


def lean(optimizer: Optimizer) -> Optimizer:
    """Return the optimizer with a step that imports no compiler, if it is one of torch's own."""
    if type(optimizer).__module__.startswith("torch.optim.") and not optimizer.defaults.get("differentiable"):
        step = torch.no_grad()(innermost(type(optimizer).step))
        optimizer.step = MethodType(step, optimizer)  # type: ignore[method-assign]  # of this instance alone
    return optimizer


def innermost(function: Callable[..., object]) -> Callable[..., object]:
    """Return the function below all wrappers."""
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    return function
