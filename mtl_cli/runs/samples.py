"""The samples of an evaluation that are pictures: a few rows of the split with truth and prediction."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mtl_cli.batch import Inputs, Sample, image_of, images_of, move
from mtl_cli.heads.base import change_output
from mtl_cli.model.multi_task_model import MultiTaskModel
from mtl_cli.report.samples import Strip, draw_samples
from mtl_cli.report.shown import Array, Shown
from mtl_cli.tasks.base import Task
from mtl_cli.training.arithmetic import Arithmetic
from mtl_cli.training.loading import Stream

ROWS = 6
"""Samples of each dataset, evenly spread over the split."""
MAX_TASKS = 8
"""Tasks that are shown of each dataset."""


@torch.no_grad()
def draw_image_samples(
    folder: Path,
    title: str,
    model: MultiTaskModel,
    tasks: Mapping[str, Task],
    streams: Mapping[str, Stream],
    arithmetic: Arithmetic,
) -> list[Path]:
    """Draw a sheet for each dataset of images, samples.png, or samples_<dataset>.png of several; return the files.

    Raises:
        RunFailure: a file cannot be written.
    """
    sheets = {}
    for name, stream in streams.items():
        chosen = [task for task in stream.targets if task not in stream.added][:MAX_TASKS]
        if chosen and len(stream.rows) and images_of(stream.rows.__getitems__(torch.tensor([0])).inputs) is not None:
            sheets[name] = chosen
    found = []
    for name, chosen in sheets.items():
        rows = len(streams[name].rows)
        places = np.unique(np.linspace(0, rows - 1, min(ROWS, rows)).round().astype(int)).tolist()
        strips = [strip(model, {task: tasks[task] for task in chosen}, streams[name], arithmetic, k) for k in places]
        found.append(folder / ("samples.png" if len(sheets) == 1 else f"samples_{name}.png"))
        draw_samples(found[-1], chosen, strips, title)
    return found


def strip(model: MultiTaskModel, tasks: Mapping[str, Task], stream: Stream, arithmetic: Arithmetic, row: int) -> Strip:
    """Return a row of a split with what each task says of it."""
    sample = stream.reader.as_they_are(torch.tensor([row]))
    return Strip(
        f"row {row + 1}", picture_of(image_of(sample.inputs)[0].cpu()), shown(model, tasks, stream, arithmetic, sample)
    )


def shown(
    model: MultiTaskModel, tasks: Mapping[str, Task], stream: Stream, arithmetic: Arithmetic, sample: Sample
) -> list[tuple[Shown | None, Shown | None]]:
    """Return truth and prediction of each task for one row."""
    inputs = Inputs(move(sample.inputs, arithmetic.device), stream.name)
    model.eval()
    with arithmetic.autocast():
        out = model.predict(inputs, list(tasks))
    cells = []
    for name, task in tasks.items():
        target = stream.target(name, sample).cpu()
        labelled = bool(task.labelled_rows(target)[0])
        truth = target if labelled else None
        outputs = change_output(lambda tensor: tensor.cpu(), out.predicted(name))
        cells.append(task.shown(truth, outputs))
    return cells


def picture_of(image: Tensor) -> Array:
    """Return an image [C, H, W] of any scale as [H, W, 3] from 0 to 1: its first three channels, or grey."""
    values = image.float().numpy()
    values = values[:3] if len(values) >= 3 else np.repeat(values[:1], 3, axis=0)
    low, high = values.min(), values.max()
    return (values.transpose(1, 2, 0) - low) / max(float(high - low), 1e-12)
