"""New rows that a trained model makes up, such as images out of the decoder of a variational autoencoder."""

import io
import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from mtl_cli.config.run_config import checked, load_run_config, override
from mtl_cli.config.targets import Trust
from mtl_cli.errors import UserError
from mtl_cli.files import write_bytes
from mtl_cli.heads.base import Generative, change_output
from mtl_cli.runs.prediction_folder import PredictionFolder
from mtl_cli.runs.predictor import TrainedModel, build_predictor
from mtl_cli.seeding import generator
from mtl_cli.storage import checkpoint
from mtl_cli.tasks.predictions_base import Predictions
from mtl_cli.training.arithmetic import torch_settings

logger = logging.getLogger("mtl_cli")
GAP = 2
"""Pixels between images of a sheet."""
SMALL = 64
"""Images of fewer pixels to a side are enlarged on a sheet, each pixel to a square."""
Array = np.ndarray[Any, Any]


def generate(path: Path, target: Path, number: int, overrides: Mapping[str, Any], folders: Sequence[Path] = ()) -> None:
    """Draw `number` images of each task of a checkpoint that can make up some, from the seed of the run.

    A `target` that ends in .png is one sheet, of one task. Any other is a new folder with a sheet <task>.png and each
    image as <task>/<number>.png. `overrides` are as in `mtl_cli.runs.predict.predict`; seed=1 gives other images.

    Raises:
        UserError: the checkpoint cannot make up anything, or the target does not fit; nothing is written.
        RunFailure: the disk is full.
    """
    overrides = dict(overrides)
    names = overrides.pop("tasks", None)
    if type(number) is not int or number < 1:
        raise UserError(f"samples is {number!r}; it is a whole number ≥ 1. Use samples=16.")
    state = checkpoint.load(checkpoint.find(path, "best"))
    config = checked(override(load_run_config(state["config"]), overrides))
    with torch_settings(config):
        trust = Trust(tuple(overrides.get("trust", ())), tuple(folders))
        predictor = able(build_predictor(config, trust, state, names), names)
        images = {task: drawn(predictor, task, number, config["seed"]) for task in predictor.tasks}
    if target.suffix.lower() == ".png":
        if len(images) > 1:
            one = next(iter(images))
            raise UserError(
                f"{', '.join(images)} make up images, and {target} holds one sheet. Choose a task, tasks=[{one}], or "
                "give a new folder: output=DIR."
            )
        write_bytes(target, png_bytes(sheet(next(iter(images.values())))))
    else:
        with PredictionFolder(target) as folder:
            for task, own in images.items():
                folder.write({f"{task}.png": sheet(own)})
                folder.write({f"{task}/{k}.png": image for k, image in enumerate(own, start=1)})
    logger.info("%d images of %s in %s", number, ", ".join(images), target)


def able(predictor: TrainedModel, names: object) -> TrainedModel:
    """Return the predictor with those tasks that can make up images.

    Raises:
        UserError: there is none, or one that is asked for cannot.
    """
    found = [name for name in predictor.tasks if isinstance(predictor.model.heads[name], Generative)]
    wrong = [name for name in predictor.tasks if name not in found]
    if not found or (names is not None and wrong):
        raise UserError(
            f"samples= draws images of a task with a head that generates, such as VariationalReconstruction, and "
            f"{', '.join(wrong)} is none. Give input=PATH in its place."
        )
    return predictor.only(found)


@torch.inference_mode()
def drawn(predictor: TrainedModel, task: str, number: int, seed: int) -> list[Array]:
    """Return images uint8 [H, W] or [H, W, 3] that a task makes up."""
    head = predictor.model.heads[task]
    assert isinstance(head, Generative)
    output = change_output(torch.Tensor.float, head.drawn(number, generator(seed, "samples", task)))
    written = Predictions([str(k) for k in range(1, number + 1)])
    predictor.tasks[task].write(output, written)
    return list(written.files.values())


def sheet(images: Sequence[Array]) -> Array:
    """Return images [H, W] or [H, W, 3] as one, row by row, with a gap between them; small ones are enlarged.

    Raises:
        UserError: they are arrays of other shapes, which no PNG can show.
    """
    first = images[0]
    if first.dtype != np.uint8:
        raise UserError("A sheet shows images of 1 or 3 channels. Give a new folder for arrays: output=DIR.")
    times = max(1, -(-SMALL // max(first.shape[:2])))
    height, width = (side * times + GAP for side in first.shape[:2])
    columns = math.ceil(math.sqrt(len(images)))
    rows = -(-len(images) // columns)
    found = np.full((rows * height - GAP, columns * width - GAP, *first.shape[2:]), 255, np.uint8)
    for k, image in enumerate(images):
        top, left = k // columns * height, k % columns * width
        found[top : top + height - GAP, left : left + width - GAP] = image.repeat(times, axis=0).repeat(times, axis=1)
    return found


def png_bytes(image: Array) -> bytes:
    """Return an image uint8 [H, W] or [H, W, 3] as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    return buffer.getvalue()
