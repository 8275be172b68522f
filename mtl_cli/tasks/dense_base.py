"""What tasks with a value for every pixel have in common."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from mtl_cli.layers.convolution import resized
from mtl_cli.report.shown import Shown, number_colours, spread
from mtl_cli.tasks.base import Task
from mtl_cli.tasks.predictions_base import Columns, Predictions


class DenseTask(Task, ABC):
    """A task on maps: outputs [B, num_outputs, h, w] are compared with targets [B, H, W] or [B, C, H, W].

    Outputs are brought to the size of the target, so that losses and metrics are measured there. Predictions are
    brought to the size of the image's file.
    """

    head_gives: ClassVar[str] = "map"
    writes_files: ClassVar[bool] = True

    def matched(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Return the outputs in the height and width of the target, interpolated bilinearly."""
        return resized(outputs, target.shape[-2:])

    def repeated(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Return the outputs [num_outputs] for every pixel of `target`."""
        return outputs.reshape(1, -1, 1, 1).expand(len(target), -1, *target.shape[-2:])

    def write(self, outputs: Tensor, predictions: Predictions) -> None:
        """Add columns and files of each row, from its outputs in the size of its file."""
        columns: list[Columns] = []
        for row, maps in enumerate(predictions.maps(outputs)):
            columns.append(self.decode(maps.unsqueeze(0)))
            if predictions.in_memory:
                predictions.arrays.setdefault(self.name, []).append(self.array(maps))
                continue
            for suffix, values in self.files(maps).items():
                predictions.files[predictions.path_of(self.name, row, suffix)] = values
        for name in columns[0] if columns else ():
            predictions.columns[name] = np.concatenate([each[name] for each in columns])

    def in_graph(self, outputs: Tensor, size: tuple[int, int] | None) -> Tensor:
        """Return the outputs in the size of the input."""
        return outputs if size is None else resized(outputs, size)

    @abstractmethod
    def files(self, maps: Tensor) -> "Mapping[str, np.ndarray[Any, Any]]":
        """Return the files of one row, from its outputs [num_outputs, H, W], by what follows the row's name."""

    def array(self, maps: Tensor) -> "np.ndarray[Any, Any]":
        """Return what is predicted of one row as an array [H, W] or [C, H, W], from its outputs [num_outputs, H, W]."""
        found = list(self.files(maps).values())
        return found[0] if len(found) == 1 else np.stack(found)

    def shown(self, target: Tensor | None, outputs: Tensor) -> tuple[Shown | None, Shown | None]:
        """Return truth and prediction as pictures of the same colours."""
        size = outputs.shape[-2:] if target is None else target.shape[-2:]
        predicted = self.predictions(resized(outputs, size))[0].numpy()
        truth = None if target is None else self.references(target)[0].numpy()
        pictures = self.coloured([predicted] if truth is None else [predicted, truth])
        return (None if truth is None else Shown(pixels=pictures[1])), Shown(pixels=pictures[0])

    def coloured(self, maps: "Sequence[np.ndarray[Any, Any]]") -> "list[np.ndarray[Any, Any]]":
        """Return maps of one row, as metrics see them, as pictures [H, W, 3] from 0 to 1, all in the same colours.

        By default maps are numbers [H, W], or [C, H, W] of which the first channel is shown.
        """
        planes = [each if each.ndim == 2 else each[0] for each in maps]
        limits = spread(np.concatenate([each.ravel() for each in planes]))
        return [number_colours(each, limits) for each in planes]

    def columns_of_no_rows(self) -> Columns:
        """Return the columns that `write` adds, without a row."""
        return {name: values[:0] for name, values in self.decode(torch.zeros(1, self.num_outputs, 1, 1)).items()}


def share_columns(task: str, labels: "list[str]", there: Tensor) -> Columns:
    """Return the share of pixels where each label is there, bool [B, C, H, W], as columns "<task>_share_<label>"."""
    shares = there.float().mean(dim=(2, 3)).cpu().numpy()
    return {name: shares[:, index] for index, name in enumerate(share_names(task, labels))}


def share_names(task: str, labels: "list[str]") -> list[str]:
    """Return the names of the columns of shares."""
    return [f"{task}_share_{label}" for label in labels]
