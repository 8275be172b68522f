"""A checkpoint that predicts inputs in memory, by the machinery of mtl-predict."""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mtl_cli.bundles.manifest import Manifest, is_bundle
from mtl_cli.config.run_config import Config, checked, load_run_config, override
from mtl_cli.config.targets import Trust
from mtl_cli.datasets.base import DataSource
from mtl_cli.datasets.reading_base import Reading
from mtl_cli.errors import UserError
from mtl_cli.inference.base import Predicted, Predictor, joined
from mtl_cli.runs.predictor import TrainedModel, build_predictor, choose
from mtl_cli.storage import checkpoint
from mtl_cli.storage.portable import FILES, read_state
from mtl_cli.tables.given import Given
from mtl_cli.tasks.predictions_base import Boxes, Predictions
from mtl_cli.training.arithmetic import torch_settings

logger = logging.getLogger("mtl_cli")


class CheckpointPredictor(Predictor):
    """The model of a checkpoint with its tasks.

    Args:
        path: where it was loaded from.
        config: the checked config of the run.
        model: the model with its datasets.
        names: the tasks that were asked for; None are all.
    """

    def __init__(self, path: Path, config: Config, model: TrainedModel, names: str | Sequence[str] | None) -> None:
        self.path, self._config, self._model, self._names = path, config, model, names
        self.overrides: dict[str, Any] = {}
        """The keys of the run's config that it was loaded with."""
        self.folders: list[Path] = []
        """Folders of the user's own modules that it was loaded with."""

    @property
    def model(self) -> TrainedModel:
        """The model with its tasks and datasets."""
        return self._model

    @property
    def tasks(self) -> list[str]:
        """The tasks that it predicts, in order."""
        return list(self._model.tasks)

    @property
    def columns(self) -> list[str]:
        """The columns of predictions, as mtl-predict names them."""
        return list(self._model.no_columns())

    def evaluate(self, *, split: str | None = None, input: str | Path | None = None) -> dict[str, Any]:
        """Return what mtl-eval finds and writes; of a bundle see `Predictor.evaluate`."""
        if is_bundle(self.path):
            return super().evaluate(split=split, input=input)
        from mtl_cli.runs.evaluation import evaluate_checkpoint

        words = {**self.overrides, **({} if split is None else {"split": split})}
        source = None if input is None else Path(input).expanduser()
        return evaluate_checkpoint(self.path, words, ["mtl_cli.evaluate"], self.folders, source, told=False)

    def predict_given(self, inputs: Given, batch_size: int) -> Predicted:
        """Return predictions of inputs in memory."""
        if not inputs.num_rows:
            return dict(self._model.no_columns())
        return self._predict(lambda source: source.reading_of(inputs), inputs, batch_size)

    def predict_path(self, path: Path, batch_size: int) -> Predicted:
        """Return predictions of a file or folder."""
        if not path.exists():
            raise UserError(f"No input at {path}. Give an existing file or folder.")
        return self._predict(lambda source: source.reading(path) if source.reads(path) else None, path, batch_size)

    def _predict(self, reading: Callable[[DataSource], Reading | None], what: object, size: int) -> Predicted:
        with torch_settings(self._config):
            read = {name: reading(source) for name, source in self._model.sources.items()}
            readings = {name: each for name, each in read.items() if each is not None}
            possible = [name for name in self.tasks if self._model.dataset_of[name] in readings]
            asked = self._names is not None or not possible
            chosen = choose(self._names, self._model.tasks, possible, what) if asked else possible
            model = self._model.only(chosen)
            own = {name: each for name, each in readings.items() if name in model.sources}
            return joined([columns_of(found) for _, found in model.run(own, size, in_memory=True)])


def columns_of(found: Predictions) -> Predicted:
    """Return what tasks say of a batch of rows: columns, and lists of maps and boxes by task."""
    maps = {**found.arrays, **maps_in_files(found)}
    return {**found.columns, **maps, **{task: boxes_of(each) for task, each in found.boxes.items()}}


def maps_in_files(found: Predictions) -> dict[str, list[Any]]:
    """Return the files of each row by task, which tasks of a user's own may make: one array, or several stacked."""
    tasks = list(dict.fromkeys(path.partition("/")[0] for path in found.files))
    rows: dict[str, list[Any]] = {}
    for task in tasks:
        for row in range(len(found.names)):
            place = found.path_of(task, row, "")
            own = [values for path, values in found.files.items() if path.startswith((f"{place}.", f"{place}/"))]
            rows.setdefault(task, []).append(own[0] if len(own) == 1 else np.stack(own) if own else None)
    return rows


def boxes_of(found: Boxes) -> list[dict[str, Any]]:
    """Return the boxes of each row: their corners in pixels, scores and names of classes."""
    names = np.asarray(found.class_names, dtype=object)
    return [
        {"boxes": row[:, :4], "scores": row[:, 4], "labels": names[row[:, 5].astype(np.int64)]} for row in found.rows
    ]


def load_checkpoint(
    path: Path, tasks: str | Sequence[str] | None, overrides: Mapping[str, Any], folders: Sequence[Path]
) -> CheckpointPredictor:
    """Return the best checkpoint of a run directory, or that of a file.

    `overrides` are dotted keys of the run's config, such as trainer.device; `folders` hold modules that are trusted.

    Raises:
        UserError: there is no such checkpoint, or it does not fit.
    """
    state = checkpoint.load(checkpoint.find(path, "best"))
    return predictor_of(path, state, tasks, overrides, folders)


def load_state(
    manifest: Manifest, tasks: str | Sequence[str] | None, overrides: Mapping[str, Any], folders: Sequence[Path]
) -> CheckpointPredictor:
    """Return the model of a bundle whose format is torch or safetensors.

    Raises:
        UserError: it does not fit.
    """
    files = {name: manifest.file(name) for name in FILES[manifest.model]}
    state = read_state(files, manifest.model)
    return predictor_of(manifest.folder, state, tasks, overrides, folders, manifest.tasks)


def predictor_of(
    path: Path,
    state: Mapping[str, Any],
    tasks: str | Sequence[str] | None,
    overrides: Mapping[str, Any],
    folders: Sequence[Path],
    held: Sequence[str] | None = None,
) -> CheckpointPredictor:
    """Return the predictor of a checkpoint's state for `tasks`, or for those that are `held`, all by default.

    Raises:
        UserError: it does not fit.
    """
    config = checked(override(load_run_config(state["config"]), overrides))
    with torch_settings(config):
        trust = Trust(tuple(overrides.get("trust", ())), tuple(folders))
        model = build_predictor(config, trust, state, held if tasks is None else tasks)
    found = CheckpointPredictor(path, config, model, tasks)
    found.overrides, found.folders = dict(overrides), list(folders)
    return found
