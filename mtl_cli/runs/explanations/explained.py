"""What the tasks of one dataset look at: columns, words or pixels, in tables and pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mtl_cli.batch import InputPlace, Sample, change_values
from mtl_cli.datasets.base import DataSource
from mtl_cli.report.explanations import Words, draw_pixels, draw_words
from mtl_cli.runs.build import Built
from mtl_cli.runs.explanations.files import write_npz, write_rows
from mtl_cli.runs.explanations.gradients import Attribution, attributed, left_out
from mtl_cli.runs.explanations.permutation import Importance, importances
from mtl_cli.runs.samples import picture_of
from mtl_cli.seeding import generator
from mtl_cli.tasks.base import Task

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
                Words(f"row {int(self.rows.indices[k]) + 1}: {prediction_of(task, self, k)}", pieces[k], numbers[k])
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


def prediction_of(task: Task, one: Explained, row: int) -> str:
    """Return what a task predicts for a row, in words."""
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
