"""Integrated gradients: what in a row speaks for what a task says of it, against a row that says nothing.

Sundararajan, Taly, Yan, "Axiomatic attribution for deep networks", ICML 2017, by captum. The numbers of a table, the
vectors of its categories, those of the pieces of a text, and pixels go together from the baseline to the row: average
numbers, unknown categories and pieces, the mean colour. So the attributions of a row add up to the difference of both
outputs.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mtl_cli.batch import Inputs, Values
from mtl_cli.errors import not_installed
from mtl_cli.model.multi_task_model import MultiTaskModel
from mtl_cli.tasks.base import Task

STEPS = 64
"""Points between baseline and row."""
ROWS_AT_ONCE = 512


@dataclass(frozen=True)
class Attribution:
    """What speaks for the outputs of some rows: one number per input, by the key of the inputs, "" for one tensor.

    Numbers [B, N] and categories [B, M] of a table, pieces [B, L], pixels [B, H, W]; `gap` [B] is how far their sum is
    from the difference of the outputs.
    """

    by_key: dict[str, Tensor]
    gap: Tensor


def attributed(model: MultiTaskModel, task: Task, dataset: str, values: Values, unknown: int) -> Attribution | None:
    """Return the attributions of rows for one task; None where its outputs are not one tensor.

    None also where nothing of the inputs goes through a layer whose vectors can be followed. `unknown` is the number of
    the unknown piece of a text.

    Raises:
        UserError: captum is not installed.
    """
    try:
        from captum.attr import IntegratedGradients
    except ImportError as error:
        raise not_installed("Integrated gradients are computed by captum", error, "explain") from error
    with frozen(model), torch.backends.cudnn.flags(enabled=False):  # which has no gradients of layers in evaluation
        outputs = outputs_of(model, task, dataset, values)
        if outputs is None:
            return None
        chosen = chosen_class(task, outputs)
        paths = Paths(model, task, dataset, values, unknown)
        if not paths.inputs:
            return None
        forward = paths.forward_for(chosen)
        found, gap = IntegratedGradients(forward).attribute(
            paths.inputs, paths.baselines, additional_forward_args=tuple(paths.others), n_steps=STEPS,
            internal_batch_size=max(ROWS_AT_ONCE, len(paths.inputs[0])), return_convergence_delta=True,
        )  # fmt: skip
    return Attribution(paths.by_key([each.detach().cpu() for each in found]), gap.detach().cpu())


def outputs_of(model: MultiTaskModel, task: Task, dataset: str, values: Values) -> Tensor | None:
    """Return the outputs of a task for rows, where they are one tensor."""
    with torch.no_grad():
        outputs = model.predict(Inputs(values, dataset), [task.name]).predicted(task.name)
    return outputs if isinstance(outputs, Tensor) else None


def chosen_class(task: Task, outputs: Tensor) -> Tensor | None:
    """Return the predicted class of each row [B], where an output stands for each, or one for two classes."""
    if outputs.ndim != 2 or task.calibrates != "classes":
        return None
    if outputs.shape[1] == 1:
        return (outputs[:, 0] > 0).long()
    return outputs.argmax(dim=1) if outputs.shape[1] == task.field.num_classes else None


def one_number(outputs: Tensor, chosen: Tensor | None) -> Tensor:
    """Return what is explained of each row [B]: the output of the chosen class, or the sum of all outputs.

    One output of two classes speaks against the first of them. Of outputs at several places the highest of each place
    counts.
    """
    if chosen is not None and outputs.shape[1] == 1:
        return outputs[:, 0] * (2 * chosen - 1)
    if chosen is not None:
        return outputs.gather(1, chosen[:, None])[:, 0]
    if outputs.ndim == 2:
        return outputs.sum(dim=1)
    return outputs.amax(dim=2 if outputs.ndim == 3 else 1).flatten(1).mean(dim=1)


class Paths:
    """The tensors that go from baseline to row, and the model as a function of them.

    Those of numbers and pixels are inputs. Those of categories and pieces are the vectors that the embeddings of the
    model make of them, which are given to it in their place.
    """

    def __init__(self, model: MultiTaskModel, task: Task, dataset: str, values: Values, unknown: int) -> None:
        self.model, self.task, self.dataset = model, task, dataset
        named = {"": values} if isinstance(values, Tensor) else dict(values)
        self._plain = isinstance(values, Tensor)
        self.keys = [key for key, value in named.items() if value.is_floating_point() and value.numel()]
        self.inputs = [named[key] for key in self.keys]
        self.baselines = [torch.zeros_like(named[key]) for key in self.keys]
        self.other_keys = [key for key in named if key not in self.keys]
        self.others = [named[key] for key in self.other_keys]
        blank = {key: baseline_of(key, value, unknown) for key, value in named.items()}
        self._layers: list[tuple[nn.Embedding, str]] = []
        for key, layer, vectors in embedded(model, task, dataset, values):
            without = dict(embedded_by_layer(model, task, dataset, blank[""] if self._plain else blank))[layer]
            self._layers.append((layer, key))
            self.inputs.append(vectors)
            self.baselines.append(without)
        self.inputs, self.baselines = tuple(self.inputs), tuple(self.baselines)  # type: ignore[assignment]

    def forward_for(self, chosen: Tensor | None) -> Callable[..., Tensor]:
        """Return the model as a function of the tensors, then of the inputs that stay."""
        if chosen is not None:
            self.others.append(chosen)

        def forward(*tensors: Tensor) -> Tensor:
            moving, staying = tensors[: len(self.inputs)], tensors[len(self.inputs) :]
            values: dict[str, Tensor] = dict(zip(self.keys, moving, strict=False))
            values |= dict(zip(self.other_keys, staying, strict=False))
            with ExitStack() as stack:
                for (layer, _), vectors in zip(self._layers, moving[len(self.keys) :], strict=True):
                    stack.enter_context(replaced(layer, vectors))
                own = values[""] if self._plain else values
                out = self.model.predict(Inputs(own, self.dataset), [self.task.name]).predicted(self.task.name)
            assert isinstance(out, Tensor), "looked at before"
            return one_number(out, staying[-1] if chosen is not None else None)

        return forward

    def by_key(self, found: list[Tensor]) -> dict[str, Tensor]:
        """Return one attribution per number, category, piece or pixel."""
        parts: dict[str, Tensor] = {}
        for key, values in zip(self.keys, found, strict=False):
            parts[key] = values.sum(dim=1) if values.ndim == 4 else values
        for (_, key), values in zip(self._layers, found[len(self.keys) :], strict=True):
            summed = values.sum(dim=-1)
            parts[key] = parts[key] + summed if key in parts else summed
        return parts


def baseline_of(key: str, value: Tensor, unknown: int) -> Tensor:
    """Return an input that says nothing: 0 for numbers and categories, the unknown piece for pieces."""
    if key == "mask":
        return value
    return torch.full_like(value, unknown) if key == "ids" else torch.zeros_like(value)


def embedded(model: MultiTaskModel, task: Task, dataset: str, values: Values) -> list[tuple[str, nn.Embedding, Tensor]]:
    """Return the embeddings that turn categories or pieces into vectors, with the key of the inputs and the vectors."""
    if isinstance(values, Tensor):
        return []
    shapes = {key: tuple(values[key].shape) for key in ("ids", "categorical") if key in values}
    found = []
    for layer, vectors in embedded_by_layer(model, task, dataset, values):
        key = next((key for key, shape in shapes.items() if tuple(vectors.shape[:-1]) == shape), None)
        if key is not None:
            found.append((key, layer, vectors))
    return found


def embedded_by_layer(
    model: MultiTaskModel, task: Task, dataset: str, values: Values
) -> list[tuple[nn.Embedding, Tensor]]:
    """Return the vectors that every embedding makes of rows."""
    found: list[tuple[nn.Embedding, Tensor]] = []

    def note(module: nn.Module, inputs: Any, output: Tensor) -> None:  # noqa: ANN401  as torch passes them
        assert isinstance(module, nn.Embedding)
        found.append((module, output.detach()))

    handles = [m.register_forward_hook(note) for m in model.modules() if isinstance(m, nn.Embedding)]
    try:
        outputs_of(model, task, dataset, values)
    finally:
        for handle in handles:
            handle.remove()
    return found


@contextmanager
def replaced(layer: nn.Embedding, vectors: Tensor) -> Iterator[None]:
    """Let a layer return these vectors."""
    handle = layer.register_forward_hook(lambda module, inputs, output: vectors)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def frozen(model: MultiTaskModel) -> Iterator[None]:
    """Leave the parameters out of gradients, which are needed of inputs only."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)


def left_out(
    model: MultiTaskModel, task: Task, dataset: str, values: Mapping[str, Tensor], unknown: int
) -> Tensor | None:
    """Return how much less each piece's text says without it [B, L], for models that look up pieces in other ways."""
    outputs = outputs_of(model, task, dataset, values)
    if outputs is None:
        return None
    chosen = chosen_class(task, outputs)
    whole, ids = one_number(outputs, chosen), values["ids"]
    found = torch.zeros(ids.shape)
    for place in range(ids.shape[1]):
        changed = ids.clone()
        changed[:, place] = unknown
        without = outputs_of(model, task, dataset, {**values, "ids": changed})
        assert without is not None, "the outputs were a tensor before"
        found[:, place] = (whole - one_number(without, chosen)).cpu()
    return found * values["mask"].cpu()
