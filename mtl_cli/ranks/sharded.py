"""A model that is divided among the ranks by torch's FSDP2; imported where `trainer.strategy=fsdp` asks for it."""

import dataclasses
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.utils import _pytree

from mtl_cli.ranks.strategy import Strategy

Tree = TypeVar("Tree")


def pass_through(kind: type) -> None:
    """Let torch see the tensors in a dataclass that modules take and return; else it divides weights too late.

    A unit's weights are brought together again once a gradient reaches what the unit returned.
    """
    if kind not in _pytree.SUPPORTED_NODES:
        names = [field.name for field in dataclasses.fields(kind)]
        _pytree.register_pytree_node(
            kind,
            lambda value: ([getattr(value, name) for name in names], None),
            lambda values, _: kind(*values),
            serialized_type_name=f"{kind.__module__}.{kind.__qualname__}",
        )


class Sharded(Strategy):
    """Each rank holds a part of every parameter, of its gradient, and of what the optimizer keeps of it.

    The parts of a unit are brought together for its forward and its backward pass. An evaluation, in which ranks take
    other numbers of batches, brings all together.
    """

    is_divided = True

    def divide(self, model: nn.Module, units: Sequence[nn.Module]) -> None:
        """Divide the weights of the units, and those beside them as one unit that stays whole over a step.

        Raises:
            RunFailure: the ranks do not start from the same weights.
            ValueError: a parameter cannot be divided.
        """
        self.ranks.agree(model.state_dict(), "weights")
        if problem := undividable(model, units):
            raise ValueError(problem)
        device = next(model.parameters()).device.type
        mesh = init_device_mesh(device, (self.ranks.size,))
        with self.exchanging():
            for unit in units:
                unit.register_forward_hook(without_views)
                fully_shard(unit, mesh=mesh)
            fully_shard(model, mesh=mesh, reshard_after_forward=False)
        register_fsdp_forward_method(model, "predict")
        of_model = rf"FSDP2-wrapped module \({type(model).__name__}\) returned a view"
        warnings.filterwarnings("ignore", of_model)  # the unit of the model stays whole until the step is over
        for part in parts_of(model):  # losses are scaled already: gradients are summed, not averaged
            part.set_gradient_divide_factor(1.0)
            part.set_force_sum_reduction_for_comms(True)
            # Torch fetches weights ahead in the order of the passes since the last step. Those of an evaluation, of
            # which ranks have other numbers, are among them (torch 2.13): the next step would wait for ever.
            part.set_modules_to_backward_prefetch([part])

    def agree(self, model: nn.Module) -> None:
        """Do nothing: they were compared before they were divided."""

    @contextmanager
    def exchanging(self) -> Iterator[None]:
        """Run a block in which torch exchanges numbers by itself.

        Raises:
            RankLost: another rank is gone.
        """
        try:
            yield
        except dist.DistBackendError as error:
            raise self.ranks.why(error) from error
        except RuntimeError as error:
            if "gloo" not in str(error):
                raise
            raise self.ranks.why(error) from error

    @contextmanager
    def evaluating(self, model: nn.Module) -> Iterator[None]:
        """Run a block in which all weights are together on every rank."""
        assert isinstance(model, FSDPModule), "it was divided"
        with self.exchanging():
            model.set_reshard_after_forward(False)
            for unit in parts_of(model):
                unit.unshard()
        try:
            yield
        finally:
            model.set_reshard_after_forward(True)
            model.set_reshard_after_forward(False, recurse=False)
            for unit in parts_of(model):
                unit.reshard()

    def own(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Return the parts of this rank."""
        return [tensor.to_local() if isinstance(tensor, DTensor) else tensor for tensor in tensors]

    def over_all(self, norm: Tensor) -> Tensor:
        """Return the norm over the parts of all ranks."""
        return self.ranks.sum_(norm.square()).sqrt()

    def on_all(self, holds: bool) -> bool:
        """Return whether it holds on every rank."""
        return not self.ranks.add_up([int(not holds)])[0]

    def gathered(self, state: Tree) -> Tree:
        """Return nested state with whole tensors in the host's memory on the first rank, empty ones on the others."""
        with self.exchanging():
            return self._gathered(state)

    def _gathered(self, node: Any) -> Any:  # noqa: ANN401  nested plain data and tensors
        if isinstance(node, DTensor):
            whole = node.full_tensor().detach()
            return whole.cpu() if self.ranks.is_first else torch.empty(0)
        if isinstance(node, Mapping):
            return {key: self._gathered(value) for key, value in node.items()}
        if isinstance(node, list):
            return [self._gathered(value) for value in node]
        return node

    def divided(self, state: Mapping[str, Tensor], like: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Return the parts of this rank; tensors of another shape stay whole, for whoever takes them to refuse."""
        found = dict(state)
        for name, held in like.items():
            whole = state.get(name)
            if isinstance(held, DTensor) and isinstance(whole, Tensor) and whole.shape == held.shape:
                found[name] = distribute_tensor(
                    whole.detach().to(held.device), held.device_mesh, held.placements, src_data_rank=None
                )
        return found


def without_views(module: nn.Module, inputs: object, output: Tree) -> Tree:
    """Return what a unit returns with copies in the place of views.

    The gradient of what it returns calls for its weights; an operation in place on a view would drop this call.
    """
    return _pytree.tree_map_only(Tensor, lambda tensor: tensor.clone() if tensor._is_view() else tensor, output)


def parts_of(model: nn.Module) -> list[FSDPModule]:
    """Return the model and its units."""
    return [module for module in model.modules() if isinstance(module, FSDPModule)]


def undividable(model: nn.Module, units: Sequence[nn.Module]) -> str | None:
    """Return what of a model cannot be divided: numbers by themselves, and weights that two units have."""
    for name, parameter in model.named_parameters():
        if parameter.ndim == 0:
            return f"The parameter {name} is a single number, which cannot be divided."
    seen: dict[int, int] = {}
    for number, unit in enumerate(units):
        for name, parameter in unit.named_parameters():
            if seen.setdefault(id(parameter), number) != number:
                return f"The parameter {name} belongs to two parts of the model, which are divided apart."
    return None
