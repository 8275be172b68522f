"""How the ranks hold the model: here all of it, each; `mtl_cli.ranks.sharded` divides it among them."""

import contextlib
from collections.abc import Mapping, Sequence
from typing import TypeVar

from torch import Tensor, nn

from mtl_cli.ranks.ranks import ALONE, Ranks

State = TypeVar("State")


class Strategy:
    """Every rank holds the whole model (`trainer.strategy=ddp`), and a step adds up the gradients by itself."""

    is_divided = False
    """Whether each rank holds a part of every parameter.

    All ranks must then run the same modules in a step, and gradients come out of the backward pass added up.
    """

    def __init__(self, ranks: Ranks = ALONE) -> None:
        self.ranks = ranks

    def divide(self, model: nn.Module, units: Sequence[nn.Module]) -> None:
        """Lay out the model on the ranks, which replaces its parameters; `units` run one after the other."""

    def agree(self, model: nn.Module) -> None:
        """Look whether all ranks have the same weights.

        Raises:
            RunFailure: they do not.
        """
        self.ranks.agree(model.state_dict(), "weights")

    def exchanging(self) -> contextlib.AbstractContextManager[None]:
        """Return a block in which modules exchange numbers by themselves; a rank that is gone is named."""
        return contextlib.nullcontext()

    def evaluating(self, model: nn.Module) -> contextlib.AbstractContextManager[None]:
        """Return a block in which each rank runs the model on its own."""
        return contextlib.nullcontext()

    def own(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Return what this rank holds of tensors in the form of parameters."""
        return list(tensors)

    def over_all(self, norm: Tensor) -> Tensor:
        """Return the norm of whole tensors from that of what this rank holds of them."""
        return norm

    def on_all(self, holds: bool) -> bool:
        """Return whether something holds for whole tensors, where it does or not for what this rank holds of them."""
        return holds

    def gathered(self, state: State) -> State:
        """Return nested state with whole tensors, on the first rank; the others have no use for it."""
        return state

    def divided(self, state: Mapping[str, Tensor], like: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Return whole tensors by name as those of the same name in `like` are held."""
        return state


WHOLE = Strategy()
"""How the one process of a usual run holds the model."""
