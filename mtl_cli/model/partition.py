"""Which of a model's parameters its tasks share: computed, not declared."""

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from mtl_cli.batch import Inputs
from mtl_cli.heads.base import Output, tensors_of
from mtl_cli.model.multi_task_model import MultiTaskModel
from mtl_cli.weightings.step_base import Partition


def partition(model: MultiTaskModel, examples: Mapping[str, Inputs], dataset_of: Mapping[str, str]) -> Partition:
    """Return which trained parameters are shared: those that the outputs of two tasks or more depend on.

    Found by one backward per task on real `examples` (by dataset), on the tasks of `dataset_of`, rather than declared.
    Tasks that are computed as one take one backward, and none has `specific` parameters: theirs are rows.
    """
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    reached: dict[str, set[int]] = {}
    times = [0] * len(parameters)
    below: set[int] = set()
    training = model.training
    model.eval()
    with torch.random.fork_rng(devices=[]):
        for dataset, inputs in examples.items():
            tasks = [task for task, of in dataset_of.items() if of == dataset]
            if not tasks or not parameters:
                continue
            out = model(inputs, tasks, model.sharing.has_boundary)
            for task, output in out.outputs.items():
                reached[task] = dependencies(output, parameters)
            for names, outputs in out.stacked.items():
                count_stack(names, dependencies(outputs, parameters), model, parameters, times)
                reached |= {task: set() for task in names}
            for tensor in out.boundary:
                below |= dependencies(tensor, parameters)
    model.train(training)
    for of in reached.values():
        for index in of:
            times[index] += 1
    return Partition(
        shared=[p for p, count in zip(parameters, times, strict=True) if count > 1],
        specific={
            task: [p for index, p in enumerate(parameters) if index in of and times[index] == 1]
            for task, of in reached.items()
        },
        trunk=[p for index, p in enumerate(parameters) if index in below],
        above=[p for index, p in enumerate(parameters) if index not in below],
        stacked={stack.tasks: [p for p in stack.parameters() if p.requires_grad] for stack in model.stacks},
    )


def count_stack(
    names: tuple[str, ...],
    of: set[int],
    model: MultiTaskModel,
    parameters: Sequence[nn.Parameter],
    times: list[int],
) -> None:
    """Count the tasks of a stack for each parameter that its outputs depend on: all for the trunk, none for its own.

    All of its tasks read the same features. A row of its own parameters belongs to one task.
    """
    own = {id(rows) for stack in model.stacks if stack.tasks == names for rows in stack.rows}
    for index in of:
        times[index] += 0 if id(parameters[index]) in own else len(names)


def dependencies(output: Output, parameters: Sequence[nn.Parameter]) -> set[int]:
    """Return the indices of the parameters that an output depends on."""
    roots = [tensor.sum() for tensor in tensors_of(output) if tensor.requires_grad]
    if not roots:
        return set()
    gradients = torch.autograd.grad(roots, parameters, retain_graph=True, allow_unused=True)
    return {index for index, gradient in enumerate(gradients) if gradient is not None}
