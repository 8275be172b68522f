"""The samples of an evaluation that are texts: reference, what was written, and where the head looked."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mtl_cli.batch import Inputs, move
from mtl_cli.datasets.base import DataSource
from mtl_cli.errors import printable
from mtl_cli.heads.base import Attending, change_output
from mtl_cli.model.multi_task_model import MultiTaskModel, read_by
from mtl_cli.report.attention import Look, draw_attention
from mtl_cli.tasks.base import Task
from mtl_cli.texts.piece_tokenizer import PAD, shown_piece
from mtl_cli.training.arithmetic import Arithmetic
from mtl_cli.training.loading import Stream

TEXTS = 4
"""Rows of each task that writes texts."""


@dataclass(frozen=True)
class Written:
    """A row with a reference, what was written of it, and, of heads with attention, where they looked."""

    row: int
    reference: str
    written: str
    look: Look | None


@dataclass(frozen=True)
class WrittenSamples:
    """Some rows of each task that writes texts, and how many have a reference."""

    rows: Mapping[str, Sequence[Written]]
    labelled: Mapping[str, int]

    def lines(self) -> list[str]:
        """Return them in lines, to be read."""
        lines = []
        for name, rows in self.rows.items():
            lines.append(f"{name}, {len(rows)} of {self.labelled[name]} rows with a reference")
            for each in rows:
                head = f"  row {each.row + 1}  "
                lines.append(f"{head}reference  {printable(each.reference)}")
                lines.append(f"{' ' * len(head)}written    {printable(each.written)}")
        return lines

    def draw(self, folder: Path) -> list[Path]:
        """Draw where heads looked, attention.png, or attention_<task>.png of several; return the files.

        Raises:
            RunFailure: a file cannot be written.
        """
        looks = {name: [each.look for each in rows if each.look is not None] for name, rows in self.rows.items()}
        drawn = {name: each for name, each in looks.items() if each}
        paths = []
        for name, each in drawn.items():
            paths.append(folder / ("attention.png" if len(drawn) == 1 else f"attention_{name}.png"))
            draw_attention(paths[-1], each, f"{name}: where each piece that was written looks")
        return paths


@torch.no_grad()
def written_samples(
    model: MultiTaskModel,
    tasks: Mapping[str, Task],
    streams: Mapping[str, Stream],
    sources: Mapping[str, DataSource],
    arithmetic: Arithmetic,
) -> WrittenSamples:
    """Return a few labelled rows of each task that writes texts, evenly spread over the split."""
    found, counts = {}, {}
    model.eval()
    for dataset, stream in streams.items():
        for name in [task for task in stream.targets if tasks[task].prints_samples and task not in stream.added]:
            field = stream.targets[name]
            marks = [tasks[name].labelled_rows(part[field]) for part in stream.rows.sweep_fields([field])]
            labelled = torch.cat(marks).nonzero()[:, 0].numpy() if marks else np.zeros(0, dtype=int)
            if not labelled.size:
                continue
            places = np.unique(np.linspace(0, labelled.size - 1, min(TEXTS, labelled.size)).round().astype(int))
            make = writing(model, tasks[name], stream, piece_names(sources[dataset]), arithmetic)
            found[name], counts[name] = [make(row) for row in labelled[places].tolist()], labelled.size
    return WrittenSamples(found, counts)


def piece_names(source: DataSource) -> Callable[[int], str] | None:
    """Return what names the pieces of the texts that a source reads; None where it reads something else."""
    return None if source.tokenizer is None else source.tokenizer.piece


def writing(
    model: MultiTaskModel, task: Task, stream: Stream, named: Callable[[int], str] | None, arithmetic: Arithmetic
) -> Callable[[int], Written]:
    """Return what makes the sample of a row of one task."""

    def make(row: int) -> Written:
        sample = stream.reader.as_they_are(torch.tensor([row]))
        inputs = Inputs(move(sample.inputs, arithmetic.device), stream.name)
        with arithmetic.autocast():
            out = model.predict(inputs, [task.name])
        outputs = change_output(lambda tensor: tensor.cpu(), out.predicted(task.name))
        truth, said = task.shown(stream.target(task.name, sample).cpu(), outputs)
        pieces = task.predictions(outputs)
        with arithmetic.autocast():
            panels = looks(model, task.name, inputs, pieces.to(arithmetic.device))
        look = None
        if panels:
            assert not isinstance(sample.inputs, Tensor), "attention is to the tokens of texts and sounds"
            written = pieces[0, : len(next(iter(panels.values())))].tolist()
            names = [shown_piece(task.field.class_names, number) for number in written]
            look = Look(f"row {row + 1}", read_pieces(sample.inputs, named), names, panels)
        return Written(row, "" if truth is None else truth.text, "" if said is None else said.text, look)

    return make


def looks(model: MultiTaskModel, task: str, inputs: Inputs, pieces: Tensor) -> dict[str, np.ndarray]:
    """Return where the head of a task looked when it wrote pieces [1, longest] of one row; nothing of other heads."""
    head = model.heads[task]
    if not isinstance(head, Attending):
        return {}
    features = read_by(head, model.sharing(inputs, [task]).features[task], inputs)
    length = max(1, int((pieces != PAD).sum()))
    return {what: each[0].float().cpu().numpy() for what, each in head.attention(features, pieces[:, :length]).items()}


def read_pieces(inputs: Mapping[str, Tensor], named: Callable[[int], str] | None) -> list[str]:
    """Return the names of the pieces that were read of one row; none where it is not a text."""
    if named is None or "ids" not in inputs:
        return []
    return [named(number) for number in inputs["ids"][0][inputs["mask"][0]].tolist()]
