"""A trained model that predicts new inputs; all that it needs is in the checkpoint."""

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from mtl_cli.batch import ROW_INPUTS, Inputs, Values, image_size
from mtl_cli.config.targets import Trust
from mtl_cli.datasets.base import DataSource
from mtl_cli.datasets.reading_base import NewRows, Reading
from mtl_cli.errors import UserError, nearest
from mtl_cli.heads.base import Output, change_output, join_outputs
from mtl_cli.model.multi_task_model import MultiTaskModel
from mtl_cli.model.transfer import state_problem
from mtl_cli.runs.calibration.storing import take_up
from mtl_cli.runs.components import bind_all, group_datasets, make_source, state_of, wanted_fields
from mtl_cli.runs.data import Data
from mtl_cli.runs.modelling import make_model, make_tasks
from mtl_cli.runs.summaries import fields_told
from mtl_cli.storage.checkpoint import weights_of
from mtl_cli.storage.checkpoint_checks import misfit
from mtl_cli.tasks.base import Task
from mtl_cli.tasks.predictions_base import Columns, Predictions
from mtl_cli.training.arithmetic import Arithmetic, make_arithmetic

logger = logging.getLogger("mtl_cli")
TEXTS = 256
"""Texts that go through the model at once: attention takes memory by the square of their length."""


@dataclass(frozen=True)
class TrainedModel:
    """A trained model with the tasks to predict, in order, and the datasets that read new inputs for them."""

    model: MultiTaskModel
    tasks: dict[str, Task]
    sources: dict[str, DataSource]
    dataset_of: dict[str, str]
    arithmetic: Arithmetic

    def only(self, tasks: Collection[str]) -> "TrainedModel":
        """Return the same model for some of the tasks."""
        kept = {name: task for name, task in self.tasks.items() if name in tasks}
        used = {self.dataset_of[name] for name in kept}
        return replace(self, tasks=kept, sources={name: each for name, each in self.sources.items() if name in used})

    def run(
        self, readings: Mapping[str, Reading], size: int, in_memory: bool = False
    ) -> Iterator[tuple[NewRows, Predictions]]:
        """Yield all rows, at most `size` at a time, with what every task says of them; see `predict`.

        Raises:
            UserError: the datasets leave out different rows.
        """
        size = min([size, *(each.max_rows for each in readings.values() if each.max_rows is not None)])
        if len(readings) > 1 and any(each.uneven for each in readings.values()):
            size = 1
        main = next(iter(readings.values()))
        for batches in zip_longest(*(each.batches(size) for each in readings.values())):
            for reading, batch in zip(readings.values(), batches, strict=True):
                if None in batches or (reading.unit == main.unit and batch.names != batches[0].names):
                    raise UserError(
                        f"The datasets of {', '.join(readings)} read different rows of {main.path}. Predict the tasks "
                        "one by one: tasks=[NAME]."
                    )
            yield batches[0], self.predict(dict(zip(readings, batches, strict=True)), in_memory)

    @torch.inference_mode()
    def predict(self, rows: Mapping[str, NewRows], in_memory: bool = False) -> Predictions:
        """Return what every task says of the same rows, as each dataset reads them.

        Where predictions stay `in_memory`, maps are arrays rather than files.
        """
        predictions = Predictions(next(iter(rows.values())).names, in_memory=in_memory)
        if not predictions.names:
            predictions.columns |= self.no_columns()
            return predictions
        outputs: dict[str, Output] = {}
        for dataset, own in rows.items():
            found = self.outputs(dataset, own.inputs)
            outputs |= {task: chosen(output, own.places) for task, output in found.items()}
        for name, task in self.tasks.items():
            own = rows[self.dataset_of[name]]
            task.write(outputs[name], replace(predictions, size=image_size(own.inputs), frames=own.frames))
        predictions.frames = next(iter(rows.values())).frames
        return predictions

    def outputs(self, dataset: str, values: Values) -> dict[str, Output]:
        """Return the outputs of the dataset's tasks; texts go through the model a few at a time, by length."""
        tasks = [task for task in self.tasks if self.dataset_of[task] == dataset]
        if isinstance(values, Tensor) or "mask" not in values:
            return self._run(dataset, tasks, values)
        lengths = values["mask"].sum(dim=1)
        order = torch.argsort(lengths, stable=True)
        parts: dict[str, list[Output]] = {task: [] for task in tasks}
        for rows in order.split(TEXTS):
            length = int(lengths[rows].max())
            some = {name: v[rows] if name in ROW_INPUTS else v[rows, :length] for name, v in values.items()}
            for task, part in self._run(dataset, tasks, some).items():
                parts[task].append(part)
        back = torch.argsort(order).to(self.arithmetic.device)
        return {
            task: change_output(lambda tensor: tensor[back], join_outputs(found, joined))
            for task, found in parts.items()
        }

    def _run(self, dataset: str, tasks: Sequence[str], values: Values) -> dict[str, Output]:
        with self.arithmetic.autocast():
            out = self.model.predict(Inputs(values, dataset).to(self.arithmetic.device), tasks)
        return {task: out.predicted(task) for task in tasks}

    def no_columns(self) -> Columns:
        """Return the columns of no rows."""
        return {name: values for task in self.tasks.values() for name, values in task.columns_of_no_rows().items()}


def chosen(output: Output, places: Tensor | None) -> Output:
    """Return an output [B, ...] as it is, or [B, L, ...] at the places [B, L] that are asked for, joined in order."""
    if places is None:
        return output
    return change_output(lambda tensor: tensor[places.to(tensor.device)], output)


def joined(parts: Sequence[Tensor]) -> Tensor:
    """Return outputs [B, ...] one after another; sequences [B, L, ...] are filled up with 0 to the longest."""
    if all(part.shape[1:] == parts[0].shape[1:] for part in parts):
        return torch.cat(list(parts))
    longest = max(part.shape[1] for part in parts)
    return torch.cat([F.pad(part, (*[0, 0] * (part.ndim - 2), 0, longest - part.shape[1])) for part in parts])


def build_predictor(
    config: Mapping[str, Any],
    trust: Trust,
    state: Mapping[str, Any],
    names: str | Sequence[str] | None,
    path: Path | None = None,
) -> TrainedModel:
    """Return the model of a checkpoint for the tasks `names`, all that can read `path` where None; no data is read.

    Without a `path` the names are not compared with what their datasets read.

    Raises:
        UserError: every problem found.
    """
    components, dataset_of = bind_all(config, trust), group_datasets(config)
    told = {dataset: state_of(dataset, state["datasets"]) for dataset in dict.fromkeys(dataset_of.values())}
    sources: dict[str, DataSource] = {
        dataset: make_source(
            components.datasets[dataset], wanted_fields(components, dataset_of, dataset), fitted, opened=False
        )
        for dataset, fitted in told.items()
    }
    tasks = make_tasks(components.tasks, fields_told(components.tasks, sources, dataset_of, told))
    take_up(state, tasks)
    reading = {name for name, source in sources.items() if path is None or source.reads(path)}
    wanted_tasks = choose(names, tasks, [task for task in tasks if dataset_of[task] in reading], path)
    model, _ = make_model(components, tasks, Data(sources, dataset_of), config["seed"])
    weights = weights_of(state)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise misfit(state_problem(model, weights) or " ".join(str(error).splitlines()[:3])) from error
    arithmetic = make_arithmetic(config).evaluation
    used = {name: source for name, source in sources.items() if any(dataset_of[t] == name for t in wanted_tasks)}
    chosen_tasks = {name: tasks[name] for name in wanted_tasks}
    return TrainedModel(model.to(arithmetic.device).eval(), chosen_tasks, used, dataset_of, arithmetic)


def choose(
    names: str | Sequence[str] | None, tasks: Mapping[str, Task], possible: Sequence[str], path: object
) -> list[str]:
    """Return the tasks to predict: `names`, or all `possible` ones, whose datasets read inputs such as `path`.

    Raises:
        UserError: there is none, or one is unknown or not possible.
    """
    if not possible:
        raise UserError(f"No task of this run ({', '.join(tasks)}) has a dataset that reads new inputs such as {path}.")
    if names is None:
        if left := [task for task in tasks if task not in possible]:
            logger.warning("Not predicted, for their datasets do not read %s: %s.", path, ", ".join(left))
        return list(possible)
    wanted = [names] if isinstance(names, str) else list(names)
    for name in wanted:
        if name not in possible:
            raise UserError(
                f"tasks is {wanted}, but '{name}' is not a task on such inputs.{nearest(str(name), possible)} "
                f"Those of this run: {', '.join(possible)}."
            )
    if not wanted:
        raise UserError(f"tasks is empty. Give some of {', '.join(possible)}, or leave tasks= out for all.")
    return wanted
