"""Weights of 8 bits, and what they cost on the validation rows.

Matrix products are computed in 8 bits, their inputs quantised as they come. Weights of convolutions are stored so and
become float32 before they are used: on a CPU convolutions in 8 bits take six times as long as in float32.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mtl_cli.batch import Inputs
from mtl_cli.bundles.manifest import Column
from mtl_cli.errors import UserError, not_installed
from mtl_cli.export.graph import INPUT, OUTPUTS, raw_name
from mtl_cli.heads.base import Output
from mtl_cli.inference.checkpoint_predictor import CheckpointPredictor
from mtl_cli.inference.onnx_predictor import Graph
from mtl_cli.model.multi_task_model import MultiTaskModel, Outputs
from mtl_cli.runs.data import make_stream
from mtl_cli.training.evaluate import evaluate_model

logger = logging.getLogger("mtl_cli")
CONVOLUTIONS = {"Conv": 0, "ConvTranspose": 1}
"""Kinds of nodes, and the axis of their weights that the channels of the output lie on."""
MOST = 0.01
"""What quantising may cost: a point of a score, or 1 % of an error."""


def quantise(path: Path) -> None:
    """Replace a graph by one whose weights have 8 bits, by onnxruntime.

    Raises:
        UserError: onnxruntime is not installed, or cannot quantise the graph.
    """
    try:
        import onnx
        from onnxruntime.quantization import QuantType, quantize_dynamic
        from onnxruntime.quantization.registry import IntegerOpsRegistry
    except ImportError as error:
        raise not_installed("Graphs are quantised by onnxruntime", error, "export") from error
    small, quiet = path.with_suffix(".int8"), logging.NullHandler()
    logging.getLogger().addHandler(quiet)  # else onnxruntime's first warning sets the root's own handler
    try:
        kinds = [kind for kind in IntegerOpsRegistry if kind not in CONVOLUTIONS]
        graph = onnx.load(str(path))
        del graph.graph.value_info[:]  # of weights that the exporter turned over, some exporters tell the old shape
        quantize_dynamic(
            graph, str(small), op_types_to_quantize=kinds, weight_type=QuantType.QInt8,
            extra_options={"MatMulConstBOnly": True},
        )  # fmt: skip
        model = onnx.load(str(small))
        store_convolutions(model.graph)
        onnx.save(model, str(small))
    except Exception as error:  # its own errors share no class
        raise UserError(f"The graph cannot be quantised: {str(error)[:200]}. Leave out quantise=int8.") from error
    finally:
        logging.getLogger().removeHandler(quiet)
    small.replace(path)


def store_convolutions(graph: Any) -> None:  # noqa: ANN401  a graph of onnx, which has no types
    """Store the weights of convolutions in 8 bits, with a scale for each channel of the output."""
    from onnx import helper, numpy_helper

    weights = {each.name: each for each in graph.initializer}
    axes = {node.input[1]: CONVOLUTIONS[node.op_type] for node in graph.node if node.op_type in CONVOLUTIONS}
    for name, axis in axes.items():
        if name not in weights:
            continue
        values = numpy_helper.to_array(weights[name])
        wide = [-1 if k == axis else 1 for k in range(values.ndim)]
        scale = np.abs(values).max(axis=tuple(k for k in range(values.ndim) if k != axis)) / 127
        scale[scale == 0] = 1
        stored = np.rint(values / scale.reshape(wide)).astype(np.int8)
        graph.initializer.remove(weights[name])
        parts = [f"{name}_int8", f"{name}_scale"]
        graph.initializer.extend(map(numpy_helper.from_array, (stored, scale.astype(np.float32)), parts))
        graph.node.insert(0, helper.make_node("DequantizeLinear", parts, [name], axis=axis))


class GraphModel(nn.Module):
    """Graphs in the place of a model, for an evaluation."""

    def __init__(self, graphs: Mapping[str, Path]) -> None:
        super().__init__()
        self._graphs = {name: Graph(path, dict[str, Column]()) for name, path in graphs.items()}

    def predict(self, inputs: Inputs, tasks: list[str], targets: Mapping[str, Tensor] | None = None) -> Outputs:
        """Return the raw outputs of the graph of the inputs' dataset."""
        values = {INPUT: inputs.values} if isinstance(inputs.values, Tensor) else inputs.values
        arrays = {name: value.cpu().numpy() for name, value in values.items()}
        graph = self._graphs[inputs.dataset]
        outputs: dict[str, Output] = {}
        for task in tasks:
            names = [name for name in graph.outputs if name.startswith(f"{task}{OUTPUTS}")]
            found = dict(zip(names, map(torch.from_numpy, graph.run(arrays, names)), strict=True))
            whole = found.get(raw_name(task, ""))
            parts = {name.removeprefix(raw_name(task, "") + "_"): tensor for name, tensor in found.items()}
            outputs[task] = parts if whole is None else whole
        return Outputs(outputs, [], None)


def measured(predictor: CheckpointPredictor, model: nn.Module) -> dict[str, float]:
    """Return the primary metric of each task on the validation split, by "task/metric".

    Raises:
        UserError: the files of the run cannot be read.
    """
    own = predictor.model
    streams = {}
    for name, source in own.sources.items():
        tasks = {task: each for task, each in own.tasks.items() if own.dataset_of[task] == name}
        streams[name] = make_stream(source, source.full_split("val"), name, tasks, 0, own.arithmetic.device)
    assert isinstance(model, MultiTaskModel | GraphModel)
    results = evaluate_model(model, own.tasks, streams, own.arithmetic).results  # type: ignore[arg-type]  # predicts alike
    primary = {name: task.primary for name, task in own.tasks.items()}
    return {f"{name}/{primary[name]}": results[name].metrics[primary[name]] for name in own.tasks if name in results}


def check_cost(predictor: CheckpointPredictor, before: Mapping[str, float], after: Mapping[str, float]) -> None:
    """Refuse a graph that lost more than `MOST`.

    Raises:
        UserError: it did; the figures are named.
    """
    problems = []
    for name, value in before.items():
        task, _, metric = name.rpartition("/")
        lower = predictor.model.tasks[task].metric_info[metric].lower_is_better
        lost = (after[name] - value) / max(value, 1e-12) if lower else value - after[name]
        if not lost <= MOST:
            unit = f"{100 * lost:.2f} %" if lower else f"{100 * lost:.2f} points"
            problems.append(
                f"quantise=int8 costs {unit} of {name} on the validation rows ({value:.4f} to {after[name]:.4f}); 1 is "
                "the most. Leave out quantise=int8."
            )
    if problems:
        raise UserError(problems)
