"""A trained model that predicts rows of tables, texts and sentences; all that it needs is in the checkpoint."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.nn import functional as F

from mtl_cli.batch import ROW_INPUTS, Inputs
from mtl_cli.config.targets import Trust
from mtl_cli.datasets.base import DataSource
from mtl_cli.errors import UserError, nearest
from mtl_cli.model.multi_task_model import MultiTaskModel
from mtl_cli.runs.build import Data, make_model, make_tasks
from mtl_cli.runs.components import bind_all, group_datasets, make_source, state_of, wanted_fields
from mtl_cli.runs.summaries import fields_told
from mtl_cli.storage.checkpoint import weights_of
from mtl_cli.tasks.base import Columns, Task
from mtl_cli.training.arithmetic import Arithmetic, make_arithmetic

if TYPE_CHECKING:
    from mtl_cli.tables.arrow import pa
    from mtl_cli.tables.reading import TableFile
    from mtl_cli.texts.conll import ConllFile

logger = logging.getLogger("mtl_cli")
TEXTS = 256
"""Texts that go through the model at once: attention takes memory by the square of their length."""


@runtime_checkable
class TableSource(Protocol):
    """A dataset whose checkpoint state is all that it takes to read the rows of another file."""

    def reader(self, path: Path) -> "TableFile":
        """Return any file, read as the dataset's own."""
        ...

    def encode_rows(self, rows: "pa.RecordBatch", path: Path, first_row: int) -> dict[str, Tensor]:
        """Return the model's inputs of rows as `reader` gives them; `path` and `first_row` are for messages."""
        ...


@runtime_checkable
class SentenceSource(Protocol):
    """A dataset of sentences whose checkpoint state is all that it takes to read another file."""

    def sentence_reader(self, path: Path) -> "ConllFile":
        """Return any file, read as the dataset's own."""
        ...

    def encode_sentences(self, sentences: Sequence[Sequence[str]]) -> dict[str, Tensor]:
        """Return the model's inputs of sentences; `words` marks the first piece of each word."""
        ...


@dataclass(frozen=True)
class Predictor:
    """A trained model with the tasks to predict, in order, and the datasets that encode their rows or sentences."""

    model: MultiTaskModel
    tasks: dict[str, Task]
    sources: dict[str, Any]
    dataset_of: dict[str, str]
    arithmetic: Arithmetic

    @torch.inference_mode()
    def columns(self, rows: "pa.RecordBatch", path: Path, first_row: int) -> Columns:
        """Return what every task says of rows of a table."""
        outputs: dict[str, Tensor] = {}
        for dataset, source in self.sources.items():
            outputs |= self.outputs(dataset, source.encode_rows(rows, path, first_row))
        return {name: values for task in self.tasks for name, values in self.tasks[task].decode(outputs[task]).items()}

    @torch.inference_mode()
    def words(self, sentences: Sequence[Sequence[str]]) -> Columns:
        """Return what every task says of the words of sentences, one after another."""
        found: Columns = {}
        for dataset, source in self.sources.items():
            inputs = source.encode_sentences(sentences)
            outputs = self.outputs(dataset, inputs)
            marks = inputs["words"].to(self.arithmetic.device)
            for task, values in outputs.items():
                found |= self.tasks[task].decode(values[marks])
        return found

    def outputs(self, dataset: str, values: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the outputs of the dataset's tasks; texts go through the model a few at a time, by length."""
        tasks = [task for task in self.tasks if self.dataset_of[task] == dataset]
        if "mask" not in values:
            return self._run(dataset, tasks, values)
        lengths = values["mask"].sum(dim=1)
        order = torch.argsort(lengths, stable=True)
        found: dict[str, list[Tensor]] = {task: [] for task in tasks}
        for rows in order.split(TEXTS):
            longest = int(lengths[rows].max())
            some = {name: v[rows] if name in ROW_INPUTS else v[rows, :longest] for name, v in values.items()}
            out = self._run(dataset, tasks, some)
            for task, part in out.items():
                missing = values["mask"].shape[1] - longest if part.ndim == 3 else 0
                found[task].append(F.pad(part, (0, 0, 0, missing)) if missing else part)
        back = torch.argsort(order).to(self.arithmetic.device)
        return {task: torch.cat(parts)[back] for task, parts in found.items()}

    def _run(self, dataset: str, tasks: Sequence[str], values: dict[str, Tensor]) -> dict[str, Tensor]:
        with self.arithmetic.autocast():
            return self.model(Inputs(values, dataset).to(self.arithmetic.device), tasks).outputs

    def empty_columns(self) -> Columns:
        """Return the columns of no rows."""
        return {
            name: values[:0]
            for task in self.tasks.values()
            for name, values in task.decode(torch.zeros(1, task.num_outputs)).items()
        }


def build_predictor(
    config: Mapping[str, Any],
    trust: Trust,
    state: Mapping[str, Any],
    names: str | Sequence[str] | None,
    sentences: bool | None = None,
) -> Predictor:
    """Return the model of a checkpoint for the tasks `names`, all that fit where None; no data is read.

    They are tasks on tables and texts, or with `sentences` those on labelled words; None is the former if any are.

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
    tables: dict[str, Any] = {name: source for name, source in sources.items() if isinstance(source, TableSource)}
    words = {name: source for name, source in sources.items() if isinstance(source, SentenceSource)}
    tables = words if sentences or (sentences is None and not tables) else tables
    chosen = choose(names, tasks, [task for task in tasks if dataset_of[task] in tables])
    model, _ = make_model(components, tasks, Data(sources, dataset_of), config["seed"])
    try:
        model.load_state_dict(weights_of(state))
    except RuntimeError as error:
        reason = " ".join(str(error).splitlines()[:3])
        raise UserError(f"The checkpoint does not fit the model of its config: {reason}") from error
    arithmetic = make_arithmetic(config)
    used = {name: table for name, table in tables.items() if any(dataset_of[task] == name for task in chosen)}
    return Predictor(model.to(arithmetic.device).eval(), {t: tasks[t] for t in chosen}, used, dataset_of, arithmetic)


def choose(names: str | Sequence[str] | None, tasks: Mapping[str, Task], possible: Sequence[str]) -> list[str]:
    """Return the tasks to predict: `names`, or all `possible` ones, those on tables.

    Raises:
        UserError: there is none, or one is unknown or not on a table.
    """
    if not possible:
        raise UserError(
            f"No task of this run ({', '.join(tasks)}) has a table, texts or sentences as its dataset; "
            "mtl-predict reads those."
        )
    if names is None:
        if left := [task for task in tasks if task not in possible]:
            logger.warning("Not predicted, for their datasets are of another kind: %s.", ", ".join(left))
        return list(possible)
    wanted = [names] if isinstance(names, str) else list(names)
    for name in wanted:
        if name not in possible:
            raise UserError(
                f"tasks is {wanted}, but '{name}' is no task on such a file.{nearest(str(name), possible)} "
                f"Those of this run: {', '.join(possible)}."
            )
    if not wanted:
        raise UserError(f"tasks is empty. Give some of {', '.join(possible)}, or leave tasks= out for all.")
    return wanted
