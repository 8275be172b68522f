"""A bundle in ONNX that predicts inputs in memory: NumPy and onnxruntime, without torch."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mtl_cli.bundles.after import After, after_of, names_of
from mtl_cli.bundles.encoders import Encoded, Encoder, encoder_of
from mtl_cli.bundles.example import example
from mtl_cli.bundles.manifest import READ, Column, Manifest, chosen_tasks
from mtl_cli.errors import UserError, not_installed, some
from mtl_cli.inference.base import Predicted, Predictor, joined
from mtl_cli.tables.given import Given

Array = np.ndarray[Any, Any]
DTYPES = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(bool)": np.bool_}
"""NumPy's types of a graph's inputs."""


class Graph:
    """The graph of one dataset: encoded inputs in, columns of its tasks out.

    Args:
        path: the file.
        columns: the columns that are wanted of it.
        after: how the tasks are read that are not columns of the graph.
    """

    def __init__(self, path: Path, columns: Mapping[str, Column], after: Mapping[str, After] | None = None) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise not_installed("Bundles in ONNX are run by onnxruntime", error, "serve") from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS", "0") or 0)
        options.add_session_config_entry("session.disable_quant_qdq", "1")  # weights in 8 bits become constants, once
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's own errors share no class
            raise UserError(f"{path} cannot be run: {str(error)[:200]}. Export the bundle again.") from error
        self._types = {each.name: DTYPES[each.type] for each in self._session.get_inputs()}
        self.outputs = [each.name for each in self._session.get_outputs()]
        self.columns = {name: each for name, each in columns.items() if name in self.outputs}
        self._after = dict(after or {})

    def run(self, arrays: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        """Return some outputs of the graph."""
        inputs: dict[str, Array] = {
            name: np.ascontiguousarray(arrays[name], dtype=kind) for name, kind in self._types.items()
        }
        return list(self._session.run(list(outputs), inputs))

    def predict(self, batch: Encoded) -> Predicted:
        """Return the columns of a batch, at the places that predictions are made at, and maps and boxes by task."""
        found = self.run(batch.arrays, [*self.columns, *(f"{task}{READ}" for task in self._after)])
        said: Predicted = {
            name: names_of(column.names, values if batch.places is None else values[batch.places])
            for (name, column), values in zip(self.columns.items(), found, strict=False)
        }
        for (task, after), values in zip(self._after.items(), found[len(self.columns) :], strict=True):
            said |= after.columns(values, batch.frames)
            rows = after.rows(values, batch.frames)
            said |= {} if rows is None else {task: rows}
        return said


class OnnxPredictor(Predictor):
    """The tasks of a bundle in ONNX.

    Args:
        manifest: the manifest of the bundle.
        tasks: the tasks that are wanted; None are all.
    """

    def __init__(self, manifest: Manifest, tasks: str | Sequence[str] | None = None) -> None:
        self.path, self.manifest = manifest.folder, manifest
        self._tasks = chosen_tasks(manifest, tasks)
        self._columns = {name: each for name, each in manifest.columns.items() if each.task in self._tasks}
        self._parts: dict[str, tuple[Encoder, Graph]] = {}
        for name, part in manifest.data["datasets"].items():
            own = {column: each for column, each in self._columns.items() if column in part["columns"]}
            after = {task: after_of(task, told) for task, told in part.get("after", {}).items() if task in self._tasks}
            if own or after:
                self._parts[name] = encoder_of(part["inputs"]), Graph(manifest.file(part["graph"]), own, after)

    @property
    def tasks(self) -> list[str]:
        """The tasks that it predicts, in order."""
        return self._tasks

    @property
    def columns(self) -> list[str]:
        """The columns of predictions, as mtl-predict names them."""
        return list(self._columns)

    def try_out(self) -> None:
        """Predict an example, where the manifest tells one, so that a manifest which does not fit is noticed early."""
        for inputs in example(self.manifest.data["datasets"]).values():
            self.predict(inputs)

    def predict_given(self, inputs: Given, batch_size: int) -> Predicted:
        """Return predictions of inputs in memory."""
        if not inputs.num_rows:
            return {name: np.zeros(0, object if each.names else np.float32) for name, each in self._columns.items()}
        found: Predicted = {}
        for encoder, graph in self._parts.values():
            if encoder.reads(inputs):
                found |= joined([graph.predict(batch) for batch in encoder.batches(inputs, batch_size)])
        if not found:
            raise UserError(f"No task of this bundle ({some(self.tasks)}) reads new inputs such as {inputs}.")
        boxes = [name for name in self._tasks if isinstance(found.get(name), list) and found[name][0].__class__ is dict]
        maps = [name for name in self._tasks if name in found and name not in boxes]
        return {name: found[name] for name in (*self._columns, *maps, *boxes) if name in found}

    def predict_path(self, path: Path, batch_size: int) -> Predicted:
        """Return predictions of a file of a table."""
        if not path.is_file():
            raise UserError(f"No file at {path}. Give an existing one.")
        encoder, _ = next(iter(self._parts.values()))
        return self.predict_given(encoder.of_path(path), batch_size)
