"""The part of a model that serves one dataset, from encoded inputs to columns, as a graph of ONNX."""

import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mtl_cli.batch import Inputs, Values
from mtl_cli.bundles.manifest import READ
from mtl_cli.errors import UserError, not_installed
from mtl_cli.heads.base import Output
from mtl_cli.model.multi_task_model import MultiTaskModel
from mtl_cli.tasks.base import Task

logger = logging.getLogger("mtl_cli")
INPUT = "values"
"""Name of the input of models that take one tensor."""
OUTPUTS = "__outputs"
"""Ending of the name of a task's raw outputs, which measurements of the graph need."""
PLAIN = ("columns", "decode", "write")
"""What a kind of task leaves as it is where all that it says of a row are columns."""


class Columns(nn.Module):
    """Inputs of one dataset to the columns of its tasks, to what is read behind the graph, and to raw outputs.

    Args:
        model: the trained model.
        tasks: the tasks of the dataset.
        dataset: its name.
        example: its inputs; those without a column, [B, 0], are made inside.
    """

    def __init__(self, model: MultiTaskModel, tasks: Mapping[str, Task], dataset: str, example: Values) -> None:
        super().__init__()
        self.model, self.dataset, self._tasks = model, dataset, dict(tasks)
        values = {INPUT: example} if isinstance(example, Tensor) else dict(example)
        self.examples = {name: value for name, value in values.items() if value.numel()}
        self._empty = {name: value.dtype for name, value in values.items() if not value.numel()}
        self.after = {name: after for name, task in tasks.items() if (after := told_after(task)) is not None}
        """How tasks are read whose predictions are not columns of the graph."""
        with torch.no_grad():
            found = self._found(list(self.examples.values()))
        self.names = {name: column.names for each in found for name, column in each.columns.items()}
        self.columns_of = {each.task: list(each.columns) for each in found}
        self.outputs = [*self.names, *(name for each in found for name in each.tensors)]

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return the columns [B] or [B, L] in order, and then what each task gives besides."""
        found = self._found(inputs)
        columns = [column.numbers for each in found for column in each.columns.values()]
        return (*columns, *(tensor for each in found for tensor in each.tensors.values()))

    def _found(self, inputs: Sequence[Tensor]) -> "list[Said]":
        given = dict(zip(self.examples, inputs, strict=True))
        rows = inputs[0].shape[0]
        given |= {name: torch.zeros((rows, 0), dtype=kind) for name, kind in self._empty.items()}
        values: Values = given.get(INPUT, given)
        size = (values.shape[2], values.shape[3]) if isinstance(values, Tensor) and values.ndim == 4 else None
        out = self.model.predict(Inputs(values, self.dataset), list(self._tasks))
        found = []
        for name, task in self._tasks.items():
            output = out.predicted(name)
            raw = {raw_name(name, key): tensor for key, tensor in parts_of(output).items()}
            if name in self.after:
                found.append(Said(name, {}, {f"{name}{READ}": task.in_graph(output, size), **raw}))
            else:
                found.append(Said(name, task.columns(output), raw))
        return found


@dataclass(frozen=True)
class Said:
    """What a graph gives of a task: columns, and tensors by name, the raw outputs among them."""

    task: str
    columns: Mapping[str, Any]
    tensors: Mapping[str, Tensor]


def parts_of(output: Output) -> dict[str, Tensor]:
    """Return the tensors of an output by name, "" where it is one."""
    if isinstance(output, Tensor):
        return {"": output}
    return dict(output if isinstance(output, Mapping) else {str(k): part for k, part in enumerate(output)})


def raw_name(task: str, key: str) -> str:
    """Return the name of a tensor of a task's raw outputs."""
    return f"{task}{OUTPUTS}{f'_{key}' if key else ''}"


def told_after(task: Task) -> dict[str, Any] | None:
    """Return how a task is read behind a graph, None where all that it says are columns.

    Raises:
        UserError: it says something else.
    """
    kind = type(task)
    if kind.coded is not Task.coded and all(getattr(kind, name) is getattr(Task, name) for name in PLAIN):
        return None
    found = task.after_graph()
    if found is None:
        raise UserError(
            f"tasks.{task.name}: what a {kind.__name__} says of a row is neither columns of numbers nor pixels or "
            "boxes, which is all that format=onnx can hold. Use format=torch, or choose others: tasks=[…]."
        )
    return found


def write_graph(columns: Columns, path: Path, any_size: bool) -> None:
    """Write the graph with any number of rows, and of pieces of text; with `any_size`, of images of any size.

    Raises:
        UserError: the model does something that ONNX cannot hold, or the exporter is not installed.
    """
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise not_installed("Graphs are written by onnx and onnxscript", error, "export") from error
    batch, length = torch.export.Dim("batch"), torch.export.Dim("length")
    height, width = torch.export.Dim("height"), torch.export.Dim("width")
    shapes = []
    for name, value in columns.examples.items():
        dims: dict[int, Any] = {0: batch}
        if name in ("ids", "mask", "words"):
            dims[1] = length
        elif value.ndim == 4 and any_size:
            dims |= {2: height, 3: width}
        shapes.append(dims)
    examples = tuple(repeated(value) for value in columns.examples.values())
    quiet = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir", "torch.export", "torch")]
    levels = [each.level for each in quiet]
    try:
        for each in quiet:
            each.setLevel(logging.ERROR)
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the exporter itself
            program = torch.onnx.export(
                columns.eval(), examples, dynamo=True, dynamic_shapes={"inputs": tuple(shapes)}, verbose=False,
                input_names=list(columns.examples), output_names=columns.outputs, optimize=True,
            )  # fmt: skip
            assert program is not None
            sizes = {each.name: each.shape[0] for each in program.model.graph.inputs if each.shape}
            if fixed := [name for name, rows in sizes.items() if isinstance(rows, int)]:  # what the exporter tries last
                raise ValueError(f"it takes a fixed number of rows of {fixed}")
            program.save(path)
    except Exception as error:  # the exporter raises anything for what it cannot do
        cause = error.__cause__ or error
        reason = " ".join(str(cause).split()) or type(cause).__name__
        raise UserError(f"The model cannot be written as ONNX: {reason[:300]}. Use format=torch.") from error
    finally:
        for each, level in zip(quiet, levels, strict=True):
            each.setLevel(level)


def repeated(value: Tensor) -> Tensor:
    """Return an example of a few rows: for one or two of them the exporter would take their number as fixed."""
    return torch.cat([value, value, value])[:5].contiguous()
