"""Predictions of a trained model for the rows of a table."""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import replace as changed
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import torch
from torch import Tensor
from tqdm import tqdm

from mtl_cli import checkpoint
from mtl_cli.batch import Inputs
from mtl_cli.build import bind_all, group_datasets, make_arithmetic, make_model, make_tasks
from mtl_cli.config import load_run_config
from mtl_cli.datasets.base import DataSource
from mtl_cli.errors import UserError, nearest
from mtl_cli.model import MultiTaskModel
from mtl_cli.report.tables import duration
from mtl_cli.run import checked, override, torch_settings, weights_of
from mtl_cli.step import Arithmetic
from mtl_cli.targets import Trust
from mtl_cli.tasks.base import Columns, Task

if TYPE_CHECKING:
    from mtl_cli.tables.arrow import pa
    from mtl_cli.tables.reading import TableFile

logger = logging.getLogger("mtl_cli")


@runtime_checkable
class TableSource(Protocol):
    """A dataset whose checkpoint state is all that it takes to read the rows of another file."""

    def reader(self, path: Path) -> "TableFile":
        """Return any file, read as the dataset's own."""
        ...

    def encode_rows(self, rows: "pa.RecordBatch", path: Path, first_row: int) -> dict[str, Tensor]:
        """Return the model's inputs of rows as `reader` gives them; `path` and `first_row` are for messages."""
        ...


@dataclass(frozen=True)
class Predictor:
    """A trained model with the tasks to predict, in order, and the datasets that encode their rows."""

    model: MultiTaskModel
    tasks: dict[str, Task]
    sources: dict[str, TableSource]
    dataset_of: dict[str, str]
    arithmetic: Arithmetic

    @torch.inference_mode()
    def columns(self, rows: "pa.RecordBatch", path: Path, first_row: int) -> Columns:
        """Return what every task says of rows of a table."""
        outputs: dict[str, Tensor] = {}
        for dataset, source in self.sources.items():
            tasks = [task for task in self.tasks if self.dataset_of[task] == dataset]
            inputs = Inputs(source.encode_rows(rows, path, first_row), dataset).to(self.arithmetic.device)
            with self.arithmetic.autocast():
                outputs.update(self.model(inputs, tasks).outputs)
        return {name: values for task in self.tasks for name, values in self.tasks[task].decode(outputs[task]).items()}

    def empty_columns(self) -> Columns:
        """Return the columns of no rows."""
        return {
            name: values[:0]
            for task in self.tasks.values()
            for name, values in task.decode(torch.zeros(1, task.num_outputs)).items()
        }


def predict(path: Path, source: Path, target: Path, overrides: Mapping[str, Any], folders: Sequence[Path] = ()) -> int:
    """Write the rows of the table `source` with the predictions of a checkpoint to `target`; return their number.

    `overrides` are dotted keys of the run's config, such as trainer.device, and `batch_size` and `tasks`.

    Raises:
        UserError: the checkpoint or the table does not fit; nothing is written.
        RunFailure: the disk is full.
    """
    from mtl_cli.tables.reading import TableFile
    from mtl_cli.tables.writing import TableWriter

    overrides = dict(overrides)
    size, names = overrides.pop("batch_size", 4096), overrides.pop("tasks", None)
    if type(size) is not int or size < 1:
        raise UserError(f"batch_size is {size!r}; it is a whole number ≥ 1. Use batch_size=4096.")
    state = checkpoint.load(checkpoint.find(path, "best"))
    config = checked(override(load_run_config(state["config"]), overrides))
    start, rows = time.monotonic(), 0
    with torch_settings(config):
        predictor = build_predictor(config, Trust(tuple(overrides.get("trust", ())), tuple(folders)), state, names)
        options = next(iter(predictor.sources.values())).reader(source).options
        file = TableFile(source, changed(options, missing_values=()))  # cells go to the output as they are
        file.check_quotes()
        added = predictor.empty_columns()
        check_names(added, file)
        with TableWriter(target, file) as out, progress(file, bool(config["quiet"])) as bar:
            for first, batch in parts(file, size):
                columns = predictor.columns(batch, source, first)
                out.write(batch, columns)
                bar.update(batch.num_rows)
                rows += batch.num_rows
            if rows == 0:
                out.write(no_rows(file), added)
    logger.info("%d rows with %s in %s, %s", rows, ", ".join(added), target, duration(time.monotonic() - start))
    return rows


def build_predictor(
    config: Mapping[str, Any], trust: Trust, state: Mapping[str, Any], names: str | Sequence[str] | None
) -> Predictor:
    """Return the model of a checkpoint for the tasks `names`, all tasks of tables where None; no data is read.

    Raises:
        UserError: every problem found.
    """
    components, of = bind_all(config, trust), group_datasets(config)
    sources: dict[str, DataSource] = {}
    for dataset in dict.fromkeys(of.values()):
        sources[dataset] = components.datasets[dataset].make()
        if fitted := state["datasets"].get(dataset):
            sources[dataset].load_state_dict(fitted)
        else:
            sources[dataset].open()
    tasks = make_tasks(components, {name: source.field_specs for name, source in sources.items()}, of)
    tables = {name: source for name, source in sources.items() if isinstance(source, TableSource)}
    chosen = choose(names, tasks, [task for task in tasks if of[task] in tables])
    examples = {name: Inputs(source.example().inputs, name) for name, source in sources.items()}
    model, _ = make_model(components, tasks, sources, of, examples, config["seed"])
    try:
        model.load_state_dict(weights_of(state))
    except RuntimeError as error:
        reason = " ".join(str(error).splitlines()[:3])
        raise UserError(f"The checkpoint does not fit the model of its config: {reason}") from error
    arithmetic = make_arithmetic(config)
    used: dict[str, TableSource] = {
        name: table for name, table in tables.items() if any(of[task] == name for task in chosen)
    }
    return Predictor(model.to(arithmetic.device).eval(), {t: tasks[t] for t in chosen}, used, of, arithmetic)


def choose(names: str | Sequence[str] | None, tasks: Mapping[str, Task], possible: Sequence[str]) -> list[str]:
    """Return the tasks to predict: `names`, or all `possible` ones, those on tables.

    Raises:
        UserError: there is none, or one is unknown or not on a table.
    """
    if not possible:
        raise UserError(
            f"No task of this run ({', '.join(tasks)}) has a table as its dataset; mtl-predict reads tables."
        )
    if names is None:
        if left := [task for task in tasks if task not in possible]:
            logger.warning("Not predicted, for their datasets are no tables: %s.", ", ".join(left))
        return list(possible)
    wanted = [names] if isinstance(names, str) else list(names)
    for name in wanted:
        if name not in possible:
            raise UserError(
                f"tasks is {wanted}, but '{name}' is no task on a table.{nearest(str(name), possible)} "
                f"Those of this run: {', '.join(possible)}."
            )
    if not wanted:
        raise UserError(f"tasks is empty. Give some of {', '.join(possible)}, or leave tasks= out for all.")
    return wanted


def check_names(added: Columns, file: "TableFile") -> None:
    """Refuse an input that has a column of the name of a prediction.

    Raises:
        UserError: every such column.
    """
    if twice := [name for name in added if name in file.columns]:
        raise UserError(
            f"{file.path} has the column{'s' * (len(twice) > 1)} {', '.join(twice)} already, as mtl-predict would name "
            "its own. Rename them in the file, or leave the task out: tasks=[…]."
        )


def parts(file: "TableFile", size: int) -> "Iterator[tuple[int, pa.RecordBatch]]":
    """Yield the number of the first row (from 0) and at most `size` rows of a file, to its end."""
    for first, batch in file.batches():
        for start in range(0, batch.num_rows, size):
            yield first + start, batch.slice(start, size)


def no_rows(file: "TableFile") -> "pa.RecordBatch":
    """Return a batch without a row, with the columns of a file."""
    from mtl_cli.tables.arrow import pa

    return pa.RecordBatch.from_arrays([pa.array([], kind) for kind in file.types.values()], names=file.columns)


def progress(file: "TableFile", quiet: bool) -> "tqdm[Any]":
    """Return a bar of rows, on a terminal; of CSV their number is that of the lines, which quoted cells may lower."""
    bar: tqdm[Any] = tqdm(unit="row", unit_scale=True, dynamic_ncols=True, leave=False, disable=quiet or None)
    if not bar.disable:
        bar.total = file.num_rows if file.num_rows is not None else count_lines(file.path)
    return bar


def count_lines(path: Path) -> int:
    """Return the number of line ends in a file."""
    from mtl_cli.tables.arrow import pa

    total = 0
    with pa.input_stream(str(path)) as stream:
        while block := stream.read(1 << 20):
            total += block.count(b"\n")
    return total
