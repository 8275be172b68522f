"""The model: a sharing mode and one head per task, and which of its parameters the tasks share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from mtl_cli.batch import Inputs
from mtl_cli.features import Features
from mtl_cli.heads.base import Output, TeacherForced, change_output, run_head, tensors_of
from mtl_cli.layers.named_modules import NamedModules
from mtl_cli.model.members import member_mean
from mtl_cli.seeding import seeded
from mtl_cli.sharing.base import Sharing
from mtl_cli.tasks.base import Task
from mtl_cli.weightings.base import Partition


@dataclass(frozen=True)
class Outputs:
    """Head outputs by task, usually [B, num_outputs], floats as float32; boundary and penalty as in `Shared`.

    Of a backbone with K members, `forward` gives [B·K, num_outputs], `predict` their mean (`mtl_cli.model.members`).
    `generated` are the outputs of heads that see targets, made without one; `features` are what the heads read.
    """

    outputs: dict[str, Output]
    boundary: list[Tensor]
    penalty: Tensor | None
    generated: dict[str, Output] = field(default_factory=dict)
    features: dict[str, Features] = field(default_factory=dict)

    def predicted(self, task: str) -> Output:
        """Return the outputs of a task that were made without its target."""
        return self.generated[task] if task in self.generated else self.outputs[task]


class MultiTaskModel(nn.Module):
    """A sharing mode with one head per task, on a backbone of so many members (`Backbone.members`).

    Raises:
        ValueError: there are several members, and a head sees the target, so that its outputs cannot be averaged.
    """

    def __init__(self, sharing: Sharing, heads: Mapping[str, nn.Module], members: int = 1) -> None:
        super().__init__()
        for task, head in heads.items():
            if members > 1 and isinstance(head, TeacherForced):
                raise ValueError(
                    f"tasks.{task}.head is a {type(head).__name__}, which generates its outputs; those of "
                    f"backbone.members={members} networks cannot be averaged. Use backbone.members=1."
                )
        self.sharing, self.members = sharing, members
        self.heads = NamedModules(heads)
        self._frozen: tuple[nn.Module, ...] = ()

    def freeze(self, stages: Sequence[nn.Module]) -> None:
        """Train these stages no more, and keep them in evaluation mode."""
        self._frozen = tuple(stages)
        for stage in self._frozen:
            stage.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> "MultiTaskModel":
        """Set training mode, but for frozen stages."""
        super().train(mode)
        for stage in self._frozen:
            stage.eval()
        return self

    def forward(
        self,
        inputs: Inputs,
        tasks: Sequence[str],
        boundary: bool = False,
        targets: Mapping[str, Tensor] | None = None,
    ) -> Outputs:
        """Return the outputs of `tasks`, which all belong to the dataset of `inputs`; some heads see the `targets`."""
        shared = self.sharing(inputs, tasks, boundary)
        outputs = {}
        for task in tasks:
            target = None if targets is None else targets[task]
            outputs[task] = as_floats(run_head(self.heads[task], shared.features[task], target))
        return Outputs(outputs, shared.boundary, shared.penalty, features=shared.features)

    def predict(self, inputs: Inputs, tasks: Sequence[str], targets: Mapping[str, Tensor] | None = None) -> Outputs:
        """Return outputs that were made without targets; with `targets`, beside those that the loss takes."""
        features = self.sharing(inputs, tasks).features
        outputs, generated = {}, {}
        for task in tasks:
            head = self.heads[task]
            if not isinstance(head, TeacherForced):
                outputs[task] = member_mean(as_floats(head(features[task])), self.members)
                continue
            generated[task] = as_floats(head.generate(features[task]))
            if targets is not None:
                outputs[task] = as_floats(head(features[task], targets[task]))
        return Outputs(outputs, [], None, generated)


def as_floats(output: Output) -> Output:
    """Return an output with floats as float32."""
    if isinstance(output, Tensor):
        return output.float()
    return change_output(lambda tensor: tensor.float() if tensor.is_floating_point() else tensor, output)


def build_heads(tasks: Mapping[str, Task], sharing: Sharing, seed: int) -> dict[str, nn.Module]:
    """Return a head for each task, each seeded by its name, `heads/<task>`."""
    heads = {}
    for name, task in tasks.items():
        with seeded(seed, f"heads/{name}"):
            heads[name] = task.build_head(sharing.specs[name])
    return heads


def partition(model: MultiTaskModel, examples: Mapping[str, Inputs], dataset_of: Mapping[str, str]) -> Partition:
    """Return which trained parameters are shared: those that the outputs of two tasks or more depend on.

    Found by one backward per task on real `examples` (by dataset), on the tasks of `dataset_of`, rather than declared.
    """
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    reached: dict[str, set[int]] = {}
    below: set[int] = set()
    training = model.training
    model.eval()
    with torch.random.fork_rng(devices=[]):
        for dataset, inputs in examples.items():
            tasks = [task for task, of in dataset_of.items() if of == dataset]
            if not tasks or not parameters:
                continue
            out = model(inputs, tasks, model.sharing.has_boundary)
            for task in tasks:
                reached[task] = dependencies(out.outputs[task], parameters)
            for tensor in out.boundary:
                below |= dependencies(tensor, parameters)
    model.train(training)
    times = [sum(index in of for of in reached.values()) for index in range(len(parameters))]
    return Partition(
        shared=[p for p, count in zip(parameters, times, strict=True) if count > 1],
        specific={
            task: [p for index, p in enumerate(parameters) if index in of and times[index] == 1]
            for task, of in reached.items()
        },
        trunk=[p for index, p in enumerate(parameters) if index in below],
        above=[p for index, p in enumerate(parameters) if index not in below],
    )


def dependencies(output: Output, parameters: Sequence[nn.Parameter]) -> set[int]:
    """Return the indices of the parameters that an output depends on."""
    roots = [tensor.sum() for tensor in tensors_of(output) if tensor.requires_grad]
    if not roots:
        return set()
    gradients = torch.autograd.grad(roots, parameters, retain_graph=True, allow_unused=True)
    return {index for index, gradient in enumerate(gradients) if gradient is not None}
