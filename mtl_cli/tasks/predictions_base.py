"""What the tasks of a run say of a batch of rows: columns, files and boxes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from mtl_cli.batch import Frame
from mtl_cli.images.new_images import ENDINGS
from mtl_cli.layers.convolution import resized

Columns = dict[str, "np.ndarray[Any, Any]"]
"""Columns of a table by name, each [B]."""


@dataclass(frozen=True)
class Boxes:
    """Boxes of a task: the names of its classes, and for each row its boxes float32 [N, 6].

    A box is x₁, y₁, x₂, y₂ in pixels of the image's file, a score, and the number of its class.
    """

    class_names: tuple[str, ...]
    rows: "list[np.ndarray[Any, Any]]"


def stem_of(name: str) -> str:
    """Return the name of a row without the ending of an image."""
    path = Path(name)
    return (path.with_suffix("") if path.suffix.lower() in (*ENDINGS, ".npy") else path).as_posix()


@dataclass
class Predictions:
    """What the tasks of a run say of a batch of rows: columns of a table, each [B], and files for each row.

    `files` are images, uint8 or uint16 [H, W] or uint8 [H, W, 3], by paths that end in .png, and arrays by paths that
    end in .npy, relative to the folder of the output; `path_of` names them. `notes` are texts by paths that end in
    .txt, one for all rows. `boxes` are those of each row, by task.

    Of images, `size` is the height and width of the batch, and `frames` say where in it each row's image lies.

    Where predictions stay `in_memory`, tasks on maps give `arrays`, one per row, by task, in place of files.
    """

    names: Sequence[str]
    columns: Columns = field(default_factory=dict)
    files: dict[str, "np.ndarray[Any, Any]"] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    boxes: dict[str, Boxes] = field(default_factory=dict)
    size: tuple[int, int] | None = None
    frames: Sequence[Frame] = ()
    in_memory: bool = False
    arrays: "dict[str, list[np.ndarray[Any, Any]]]" = field(default_factory=dict)

    def path_of(self, task: str, row: int, suffix: str) -> str:
        """Return the path of a task's file of a row: "<task>/<name of the row, no ending of an image><suffix>"."""
        return f"{task}/{stem_of(self.names[row])}{suffix}"

    def maps(self, outputs: Tensor) -> list[Tensor]:
        """Return the maps [B, C, h, w] of each row [C, H, W] in the size of the row's own image file."""
        whole = outputs if self.size is None else resized(outputs, self.size)
        return [frame.map_back(row) for frame, row in zip(self.frames, whole, strict=True)] if self.frames else [*whole]
