"""Weights of 8 bits, and what they cost on the validation rows."""

import logging
from collections.abc import Mapping
from pathlib import Path

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
MOST = 0.01
"""What quantising may cost: a point of a score, or 1 % of an error."""


def quantise(path: Path) -> None:
    """Replace a graph by one whose weights have 8 bits; activations are quantised as they come (onnxruntime).

    Raises:
        UserError: onnxruntime is not installed, or cannot quantise the graph.
    """
    try:
        from onnxruntime.quantization import QuantType, quantize_dynamic
    except ImportError as error:
        raise not_installed("Graphs are quantised by onnxruntime", error, "export") from error
    small, quiet = path.with_suffix(".int8"), logging.NullHandler()
    logging.getLogger().addHandler(quiet)  # else onnxruntime's first warning sets the root's own handler
    try:
        quantize_dynamic(str(path), str(small), weight_type=QuantType.QInt8, extra_options={"MatMulConstBOnly": True})
    except Exception as error:  # its own errors share no class
        raise UserError(f"The graph cannot be quantised: {str(error)[:200]}. Leave out quantise=int8.") from error
    finally:
        logging.getLogger().removeHandler(quiet)
    small.replace(path)


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
