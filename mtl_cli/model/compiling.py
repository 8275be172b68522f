"""Compiling a model's stages and heads with torch.compile, so that results depend on no history."""

from collections.abc import Iterator

import torch
import torch._dynamo.config
import torch._functorch.config
import torch._inductor.config
import torch.fx.experimental._config
from torch import nn

from mtl_cli.errors import UserError
from mtl_cli.features import Stages
from mtl_cli.model.multi_task_model import MultiTaskModel

MANY = 1 << 12


def compile_model(model: MultiTaskModel) -> None:
    """Let every stage of a backbone, whatever copies a sharing mode has of it, and every head run as compiled code.

    Modules stay what they are: the same names in a checkpoint, with or without. The code is for any batch size and
    length from the start (`dynamic`), so that a resumed run, which meets shapes in another order, computes the same.

    Raises:
        UserError: nothing can be compiled here.
    """
    settle()
    probe()
    for module in compiled_modules(model):
        module.compile(dynamic=True)


def settle() -> None:
    """Set torch.compile up for training that can be repeated: for the whole process, before the first compilation."""
    torch._inductor.config.fallback_random = True  # the same dropout masks as without compilation
    torch._functorch.config.donated_buffer = False  # gradient weightings go through a graph several times
    torch.fx.experimental._config.use_duck_shape = False  # B = L today is not a rule
    torch._dynamo.config.recompile_limit = MANY  # past it torch would go on without compiled code, by history
    torch._dynamo.config.accumulated_recompile_limit = MANY


def probe() -> None:
    """Compile a function of one line.

    Raises:
        UserError: that fails, as it does without a C++ compiler.
    """
    try:
        torch.compile(torch.sin, dynamic=True)(torch.ones(2))
    except (RuntimeError, OSError) as error:
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise UserError(
            f"trainer.compile is true, and torch.compile does not work here: {reason} It needs a C++ compiler such as "
            "g++. Use trainer.compile=false."
        ) from error


def compiled_modules(model: MultiTaskModel) -> Iterator[nn.Module]:
    """Yield the stages after a stem, wherever they are in the model, and the heads."""
    for module in model.sharing.modules():
        if isinstance(module, Stages):
            yield from (stage for number, stage in module.numbered() if number > 0)
    yield from model.heads.values()
