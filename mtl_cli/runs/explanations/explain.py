"""mtl-explain: tables and pictures of what the tasks of a trained model look at."""

import contextlib
import csv
import io
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mtl_cli.batch import InputPlace, Sample, change_values
from mtl_cli.config.knobs import NO_TRAINING
from mtl_cli.config.run_config import checked, load_run_config, override
from mtl_cli.config.targets import Trust
from mtl_cli.datasets.base import DataSource
from mtl_cli.errors import UserError, nearest
from mtl_cli.files import make_folder, write_bytes, write_json
from mtl_cli.report.explanations import Words, draw_importances, draw_pixels, draw_words
from mtl_cli.report.tables import number, table
from mtl_cli.runs.build import Built, build
from mtl_cli.runs.data_files import Evaluated
from mtl_cli.runs.explanations.gradients import Attribution, attributed, left_out
from mtl_cli.runs.explanations.permutation import Importance, importances, served
from mtl_cli.runs.samples import picture_of
from mtl_cli.seeding import generator
from mtl_cli.storage import checkpoint
from mtl_cli.tasks.base import Task
from mtl_cli.training.arithmetic import torch_settings
from mtl_cli.training.job import restore

logger = logging.getLogger("mtl_cli")
SHOWN = 6
"""Rows that pictures show."""
IMAGES = 8
"""Rows of images and texts whose gradients are followed; of tables it is 200."""
TEXTS, TABLE_ROWS = 64, 200


@dataclass(frozen=True)
class Request:
    """What is to be explained: a split, some tasks or all (empty), how many rows, and how often inputs are shuffled."""

    split: str = "test"
    tasks: tuple[str, ...] = ()
    rows: int = 2000
    repeats: int = 10


def explain(
    path: Path, output: Path, request: Request, overrides: Mapping[str, Any], folders: Sequence[Path] = ()
) -> dict[str, Any]:
    """Write what a checkpoint's tasks look at into a folder; return the record of explanations.json.

    Raises:
        UserError: the checkpoint, the data or a task does not fit, or captum is not installed.
        RunFailure: the disk is full.
    """
    state = checkpoint.load(checkpoint.find(path, "best"))
    config = checked(override(load_run_config(state["config"]), {**NO_TRAINING, **overrides}))
    with torch_settings(config):
        trust = Trust(tuple(overrides.get("trust", ())), tuple(folders))
        built = build(config, trust, state["datasets"], compare=Evaluated(request.split, lambda dataset: False))
        restore(built.job, state)
        chosen = chosen_tasks(request.tasks, built.job.tasks)
        if output.exists() and not output.is_dir():
            raise UserError(f"{output} is a file. Give a folder: output=DIR.")
        make_folder(output)
        with contextlib.nullcontext() if built.job.ema is None else built.job.ema.applied():
            built.job.learner.model.eval()
            return explain_datasets(built, chosen, output, request)


def chosen_tasks(names: Sequence[str], tasks: Mapping[str, Task]) -> dict[str, Task]:
    """Return the tasks to explain.

    Raises:
        UserError: one is unknown.
    """
    if unknown := [name for name in names if name not in tasks]:
        raise UserError(
            f"task names '{unknown[0]}', which is not a task of this run.{nearest(unknown[0], tasks)} "
            f"Its tasks: {', '.join(tasks)}."
        )
    return {name: tasks[name] for name in names or tasks}


def explain_datasets(built: Built, tasks: Mapping[str, Task], output: Path, request: Request) -> dict[str, Any]:
    """Explain the tasks dataset by dataset."""
    found: list[Importance] = []
    record: dict[str, Any] = {"split": request.split, "datasets": {}}
    for dataset, source in built.data.sources.items():
        own = {name: task for name, task in tasks.items() if built.data.dataset_of[name] == dataset}
        own = {name: task for name, task in own.items() if task.target in source.field_specs}
        if not own:
            continue
        rows = chosen_rows(source, request)
        one = Explained(built, dataset, source, own, rows, output)
        places = source.named_inputs()
        if places:
            found += one.importances(places, request.repeats)
        record["datasets"][dataset] = {"rows": len(rows.indices), **one.gradients(places)}
    if found:
        show_importances(found, output)
        record["importances"] = [asdict(each) for each in found]
        record["serves"] = served(found)
    if not record["datasets"]:
        raise UserError(f"None of {', '.join(tasks)} has labels of its own rows, so there is nothing to explain.")
    write_json(output / "explanations.json", record)
    logger.info("Written to %s", output)
    return record


@dataclass(frozen=True)
class ChosenRows:
    """Some rows of a split, in random order."""

    indices: Tensor
    sample: Sample


def chosen_rows(source: DataSource, request: Request) -> ChosenRows:
    """Return at most so many rows of a split, chosen at random with a fixed seed; of images fewer, for their memory."""
    split = source.full_split(request.split)
    most = request.rows if source.named_inputs() or source.input_spec.kind != "image" else 4 * IMAGES
    order = torch.randperm(len(split), generator=generator(0, "explain", "rows"))[:most]
    return ChosenRows(order, split.__getitems__(order))


class Explained:
    """The explanations of the tasks of one dataset."""

    def __init__(
        self,
        built: Built,
        dataset: str,
        source: DataSource,
        tasks: Mapping[str, Task],
        rows: ChosenRows,
        output: Path,
    ) -> None:
        self.model = built.job.learner.model
        self.arithmetic = built.job.learner.arithmetic.evaluation
        self.dataset, self.source, self.tasks, self.rows, self.output = dataset, source, tasks, rows, output
        self.suffix = "" if len(built.data.sources) == 1 else f"_{dataset}"

    def importances(self, places: Mapping[str, Sequence[InputPlace]], repeats: int) -> list[Importance]:
        """Return the permutation importance of every input for every task."""
        sample = self.rows.sample
        return importances(self.model, self.tasks, self.dataset, sample, places, self.arithmetic, repeats)

    def gradients(self, places: Mapping[str, Sequence[InputPlace]]) -> dict[str, Any]:
        """Write tables and pictures of integrated gradients; return what is recorded of them."""
        values = self.rows.sample.inputs
        if isinstance(values, Tensor) and values.ndim == 4:
            return self._pixels()
        if not isinstance(values, Tensor) and "ids" in values:
            return self._words(places)
        return self._columns(places)

    def _attributed(self, task: Task, count: int) -> Attribution | None:
        values = change_values(lambda value: value[:count].to(self.arithmetic.device), self.rows.sample.inputs)
        return attributed(self.model, task, self.dataset, values, self._unknown)

    @property
    def _unknown(self) -> int:
        return 0 if self.source.tokenizer is None else self.source.tokenizer.specials.unknown

    def _columns(self, places: Mapping[str, Sequence[InputPlace]]) -> dict[str, Any]:
        """Return the mean size of what each column says, by task."""
        found, gaps = {}, {}
        for name, task in self.tasks.items():
            one = self._attributed(task, TABLE_ROWS)
            if one is not None:
                found[name] = {each: by_column(one, own) for each, own in places.items()}
                gaps[name] = float(one.gap.abs().max())
        write_rows(
            self.output / f"attributions{self.suffix}.csv",
            [
                {"task": task, "input": name, "mean_size": value[0], "mean": value[1]}
                for task, columns in found.items()
                for name, value in columns.items()
            ],
        )
        sizes = {task: {name: value[0] for name, value in columns.items()} for task, columns in found.items()}
        return {"attributions": sizes, "largest_gap": gaps}

    def _words(self, places: Mapping[str, Sequence[InputPlace]]) -> dict[str, Any]:
        """Draw texts with what each piece says, and return the pieces that say most, by task."""
        tokenizer = self.source.tokenizer
        assert tokenizer is not None, "there are pieces"
        values = self.rows.sample.inputs
        assert not isinstance(values, Tensor), "there are pieces"
        some = {key: value[:TEXTS].to(self.arithmetic.device) for key, value in values.items()}
        top, rows = {}, []
        for name, task in self.tasks.items():
            one = self._attributed(task, TEXTS)
            says = None if one is None else one.by_key.get("ids")
            if says is None:
                says = left_out(self.model, task, self.dataset, some, self._unknown)
            if says is None:
                continue
            pieces = [
                [tokenizer.piece(k) for k in ids[mask].tolist()]
                for ids, mask in zip(some["ids"].cpu(), some["mask"].cpu(), strict=True)
            ]
            numbers = [row[mask].tolist() for row, mask in zip(says, some["mask"].cpu(), strict=True)]
            texts = [
                Words(f"row {int(self.rows.indices[k]) + 1}: {said(task, self, k)}", pieces[k], numbers[k])
                for k in range(min(SHOWN, len(pieces)))
            ]
            draw_words(self.output / f"words_{name}.png", texts, f"what speaks for what {name} says")
            top[name] = top_pieces(pieces, numbers)
            rows += [{"task": name, **each} for each in top[name]]
        write_rows(self.output / f"words{self.suffix}.csv", rows)
        return {"words": {name: each[:10] for name, each in top.items()}}

    def _pixels(self) -> dict[str, Any]:
        """Draw images with what each pixel says for each task."""
        found, gaps = {}, {}
        for name, task in self.tasks.items():
            one = self._attributed(task, IMAGES)
            if one is not None:
                found[name], gaps[name] = one.by_key[""], float(one.gap.abs().max())
        if found:
            images = self.rows.sample.inputs
            assert isinstance(images, Tensor), "they are pixels"
            strips = [
                (
                    f"row {int(self.rows.indices[k]) + 1}",
                    picture_of(images[k]),
                    {t: v[k].numpy() for t, v in found.items()},
                )
                for k in range(min(SHOWN, len(images)))
            ]
            draw_pixels(self.output / f"pixels{self.suffix}.png", strips, "what speaks for (blue) and against (red)")
            arrays = {name: value.numpy() for name, value in found.items()}
            write_npz(self.output / f"pixels{self.suffix}.npz", {**arrays, "rows": self.rows.indices[:IMAGES].numpy()})
        return {"largest_gap": gaps}


def said(task: Task, one: Explained, row: int) -> str:
    """Return what a task says of a row, in words."""
    from mtl_cli.runs.explanations.gradients import outputs_of

    values = change_values(lambda value: value[row : row + 1].to(one.arithmetic.device), one.rows.sample.inputs)
    outputs = outputs_of(one.model, task, one.dataset, values)
    if outputs is None or outputs.ndim > 2:
        return task.name
    shown = task.shown(None, outputs.cpu())[1]
    return f"{task.name} {shown.text if shown is not None else ''}"


def by_column(one: Attribution, places: Sequence[InputPlace]) -> tuple[float, float]:
    """Return the mean size and the mean of what the places of one input say together."""
    parts = [
        one.by_key[place.key][:, place.index] for place in places if place.key in one.by_key and place.index is not None
    ]
    if not parts:
        return 0.0, 0.0
    total = torch.stack(parts).sum(dim=0)
    return float(total.abs().mean()), float(total.mean())


def top_pieces(pieces: Sequence[Sequence[str]], values: Sequence[Sequence[float]]) -> list[dict[str, Any]]:
    """Return the pieces by the mean size of what they say; those that occur once come last."""
    sums: dict[str, list[float]] = {}
    for row, numbers in zip(pieces, values, strict=True):
        for piece, value in zip(row, numbers, strict=True):
            sums.setdefault(piece, []).append(value)
    found = [
        {"piece": piece, "mean_size": float(np.abs(each).mean()), "mean": float(np.mean(each)), "occurs": len(each)}
        for piece, each in sums.items()
    ]
    return sorted(found, key=lambda each: (each["occurs"] < 2, -each["mean_size"]))


def show_importances(found: Sequence[Importance], output: Path) -> None:
    """Write and print the importances and which inputs serve which task."""
    write_rows(output / "importances.csv", [asdict(each) for each in found])
    tasks = list(dict.fromkeys(each.task for each in found))
    by_task = {task: {each.input: each.worse_by for each in found if each.task == task} for task in tasks}
    serves = served(found)
    datasets: dict[tuple[str, ...], dict[str, dict[str, float]]] = {}
    for task, columns in by_task.items():
        datasets.setdefault(tuple(sorted(columns)), {})[task] = columns
    for place, each_dataset in enumerate(datasets.values()):
        name = "importances.png" if len(datasets) == 1 else f"importances_{place + 1}.png"
        draw_importances(output / name, each_dataset, serves)
    write_rows(
        output / "inputs.csv",
        [{"input": name, "serves": "+".join(own), "shared": len(own) > 1} for name, own in serves.items()],
    )
    metrics = {each.task: each.metric for each in found}
    rows = [["input", *(f"{task} ({metrics[task]})" for task in tasks), "serves"]]
    order = sorted(serves, key=lambda name: (-len(serves[name]), name))
    rows += [
        [name, *(number(by_task[task].get(name)) for task in tasks), " + ".join(serves[name]) or "–"] for name in order
    ]
    logger.warning("how much worse a task's metric is without an input\n%s", table(rows))


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as CSV; nothing where there are none.

    Raises:
        RunFailure: the file cannot be written.
    """
    if not rows:
        return
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_bytes(path, text.getvalue().encode())


def write_npz(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write arrays.

    Raises:
        RunFailure: the file cannot be written.
    """
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    write_bytes(path, buffer.getvalue())
