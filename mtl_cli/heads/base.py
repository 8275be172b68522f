"""What a head is: a recipe for a module from features to outputs."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from mtl_cli.config.on_hand import components_on_hand
from mtl_cli.features import Features, FeatureSpec
from mtl_cli.heads.stack_base import StackedHeads

Output = Tensor | tuple[Tensor, ...] | Mapping[str, Tensor]
"""What a head's module returns: one tensor [B, ...], or several, in order or by name."""


class Head(ABC):
    """A recipe for heads. Heads that need vectors pool maps and sequences themselves (`mtl_cli.features.pool`)."""

    gives: ClassVar[str] = "vector"
    """What a sample's outputs are: "vector", one [num_outputs]; "sequence", one per token, [L, num_outputs]; "map", one
    per position, [num_outputs, H, W]; or any other word that a task asks for (`Task.head_gives`)."""
    takes: ClassVar[tuple[str, ...]] = ("vector", "sequence", "map")
    """The kinds of features that it reads."""

    reads_skips: bool = False
    """Whether the modules read `Features.skips`; skips that neither a head nor a later stage reads are not kept."""

    @abstractmethod
    def build(self, spec: FeatureSpec, num_outputs: int) -> nn.Module:
        """Return a module from `Features` of `spec`, which is of a kind that the head takes, to [B, num_outputs].

        A module that sees the target in training is a `TeacherForced`.

        Raises:
            ValueError: the features do not fit in another way.
        """

    @property
    def form(self) -> Hashable:
        """What heads must have in common, beside the spec of features and the outputs, to be computed as one.

        None, the default, keeps a task's head apart.
        """
        return None

    def stacked(self, heads: Mapping[str, nn.Module]) -> StackedHeads:
        """Return modules that heads of one `form` built, by task, as one module; for heads that have a form."""
        raise NotImplementedError(f"{type(self).__name__} has no form")


def heads_that_give(what: str) -> list[type[Head]]:
    """Return the heads on hand whose outputs are of that kind."""
    return [head for head in components_on_hand(Head, "mtl_cli.heads") if head.gives == what]


class TeacherForced(nn.Module, ABC):
    """A head's module that sees the target in training, and makes up its own in evaluation and prediction."""

    copies: bool = False
    """Whether it copies from the text that the backbone read, and so is given `Features.pieces`."""

    @abstractmethod
    def forward(self, features: Features, target: Tensor | None) -> Output:
        """Return the outputs that the loss compares with `target` [B, ...].

        None stands for some target, in the dry runs that look at which parameters the outputs depend on.
        """

    @abstractmethod
    def generate(self, features: Features) -> Output:
        """Return outputs without a target, for metrics and predictions."""


class Attending(nn.Module, ABC):
    """A head's module that can say where in the features it looks for each entry of what it writes."""

    @abstractmethod
    def attention(self, features: Features, written: Tensor) -> dict[str, Tensor]:
        """Return shares of attention [B, L, L'] by what they are for, in words; L entries `written`, L' features."""


class LinearHead(nn.Module, ABC):
    """A head's module whose last layer is linear, and which can say what that layer reads.

    It is for weightings that read last layers (`mtl_cli.weightings.readout_base.Readout`).
    """

    @abstractmethod
    def last_layer(self) -> nn.Linear | None:
        """Return the last layer; None where others of the head's own come before it."""

    @abstractmethod
    def read(self, features: Features) -> Tensor:
        """Return the vectors [B, D] that the last layer reads, a function of the features alone."""


class Generative(nn.Module, ABC):
    """A head's module that can make up outputs without any features, such as the decoder of an autoencoder."""

    @abstractmethod
    def drawn(self, number: int, generator: torch.Generator) -> Output:
        """Return outputs of so many random rows, drawn from a generator on the CPU."""


def run_head(head: nn.Module, features: Features, target: Tensor | None = None) -> Output:
    """Return a head's outputs; one that is `TeacherForced` sees the target."""
    return head(features, target) if isinstance(head, TeacherForced) else head(features)


def change_output(change: Callable[[Tensor], Tensor], output: Output) -> Output:
    """Return an output with each of its tensors changed."""
    if isinstance(output, Tensor):
        return change(output)
    if isinstance(output, Mapping):
        return {name: change(tensor) for name, tensor in output.items()}
    return tuple(change(tensor) for tensor in output)


def join_outputs(outputs: list[Output], join: Callable[[list[Tensor]], Tensor]) -> Output:
    """Return outputs of one form as one, each of their tensors joined."""
    first = outputs[0]
    if isinstance(first, Tensor):
        return join([each for each in outputs if isinstance(each, Tensor)])
    if isinstance(first, Mapping):
        return {name: join([each[name] for each in outputs if isinstance(each, Mapping)]) for name in first}
    return tuple(join(list(parts)) for parts in zip(*outputs, strict=True))


def tensors_of(output: Output) -> list[Tensor]:
    """Return the tensors of an output."""
    if isinstance(output, Tensor):
        return [output]
    return list(output.values()) if isinstance(output, Mapping) else list(output)
