"""What a model costs: parameters and floating-point operations, beside those of independent models."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode, flop_registry

from mtl_cli.backbones.base import BackboneFactory
from mtl_cli.batch import Inputs
from mtl_cli.features import run_stages
from mtl_cli.heads.base import Output, run_head
from mtl_cli.model.multi_task_model import MultiTaskModel, read_by
from mtl_cli.tasks.base import Task
from mtl_cli.weightings.step_base import Partition


@dataclass(frozen=True)
class Costs:
    """Parameters, and operations of a forward pass per sample (a multiply-add counts as two).

    `independent_*` is what one network per task would cost.
    """

    total: int
    trained: int
    shared: int
    specific: dict[str, int]
    flops: dict[str, int]
    independent_parameters: dict[str, int]
    independent_flops: dict[str, int]
    products: dict[str, int] = field(default_factory=dict)
    """Matrix products and convolutions of a forward pass, by dataset."""

    def record(self) -> dict[str, Any]:
        """Return the costs for a summary."""
        return {
            "parameters": {
                "total": self.total,
                "trained": self.trained,
                "shared": self.shared,
                "specific": self.specific,
                "independent": sum(self.independent_parameters.values()),
            },
            "flops": {
                "per_sample": self.flops,
                "total": sum(self.flops.values()),
                "independent": sum(self.independent_flops.values()),
            },
        }


def costs(
    model: MultiTaskModel,
    partition: Partition,
    factory: BackboneFactory,
    tasks: Mapping[str, Task],
    examples: Mapping[str, Inputs],
) -> Costs:
    """Return a model's costs; `flops` by dataset, for all its tasks together. Leaves the model as it is."""
    training = model.training
    model.eval()
    flops, products = {}, {}
    for dataset, inputs in examples.items():
        names = [task for task, of in factory.dataset_of.items() if of == dataset]
        flops[dataset], products[dataset] = count_work(partial(model, tasks=names), inputs)
    model.train(training)
    specific = {task: sum(p.numel() for p in own) for task, own in partition.specific.items()}
    for stack in model.stacks:
        for task in stack.tasks:
            specific[task] = size(stack) // len(stack.tasks)
    alone = costs_alone(factory, tasks, examples)
    return Costs(
        total=size(model),
        trained=sum(p.numel() for p in model.parameters() if p.requires_grad),
        shared=sum(p.numel() for p in partition.shared),
        specific=specific,
        flops=flops,
        independent_parameters={task: parameters for task, (parameters, _) in alone.items()},
        independent_flops={task: operations for task, (_, operations) in alone.items()},
        products=products,
    )


def costs_alone(
    factory: BackboneFactory, tasks: Mapping[str, Task], examples: Mapping[str, Inputs]
) -> dict[str, tuple[int, int]]:
    """Return parameters and operations of a network of each task's own; one is built for all tasks of a form."""
    found: dict[str, tuple[int, int]] = {}
    known: dict[Hashable, tuple[int, int]] = {}
    for name, task in tasks.items():
        dataset, head = factory.dataset_of[name], task.head
        alike = None if head.form is None else (dataset, type(head), head.form, task.num_outputs)
        if alike is None or alike not in known:
            own = factory.alone(name)
            stages = own(name).eval()
            with torch.random.fork_rng(devices=[]):
                module = task.build_head(own.specs[-1]).eval()
            operations = count_flops(partial(forward_alone, stages, module), examples[dataset])
            found[name] = size(stages) + size(module), operations
            if alike is not None:
                known[alike] = found[name]
        else:
            found[name] = known[alike]
    return found


def forward_alone(stages: nn.Sequential, head: nn.Module, inputs: Inputs) -> Output:
    """Return the outputs of one task's own network."""
    return run_head(head, read_by(head, run_stages(stages, inputs), inputs))


def size(module: nn.Module) -> int:
    """Return the number of parameters."""
    return sum(parameter.numel() for parameter in module.parameters())


def count_flops(forward: Callable[[Inputs], object], inputs: Inputs) -> int:
    """Return the operations of a forward pass, per sample."""
    return count_work(forward, inputs)[0]


def count_work(forward: Callable[[Inputs], object], inputs: Inputs) -> tuple[int, int]:
    """Return the operations of a forward pass, per sample, and the number of products that they are done in."""
    values = inputs.values
    rows = len(values if isinstance(values, torch.Tensor) else next(iter(values.values())))
    products = 0

    def counted(formula: Callable[..., int]) -> Callable[..., int]:
        def count(*args: Any, **kwargs: Any) -> int:  # noqa: ANN401  what an operator is called with
            nonlocal products
            products += 1
            return formula(*args, **kwargs)

        count._get_raw = True  # type: ignore[attr-defined]  # FlopCounterMode would hand it shapes otherwise
        return count

    formulas = {operator: counted(formula) for operator, formula in flop_registry.items()}
    counter = FlopCounterMode(display=False, custom_mapping=formulas)
    with torch.no_grad(), torch.random.fork_rng(devices=[]), counter:
        forward(inputs)
    return counter.get_total_flops() // rows, products
