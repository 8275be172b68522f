"""What becomes of a graph's pixels, boxes and points behind the network: NumPy alone, by what a manifest says.

Outputs are those of the network's input. Here they are brought back to each row's own image, and become the columns,
arrays and boxes that a checkpoint predicts (`mtl_cli.tasks`, whose `after_graph` gives the descriptions).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mtl_cli.errors import UserError
from mtl_cli.images.resizing import Frame

Array = np.ndarray[Any, Any]


class After(ABC):
    """What one task says of rows: columns, and, under the task's name, an entry per row of arrays or boxes.

    Args:
        task: its name.
        data: what the manifest says.
    """

    def __init__(self, task: str, data: Mapping[str, Any]) -> None:
        self.task, self.names, self.data = task, tuple(data["names"]), data

    @abstractmethod
    def columns(self, outputs: Array, frames: Sequence[Frame]) -> dict[str, Array]:
        """Return the columns [B] of rows from the outputs [B, ...]; without `frames`, images are as the input is."""

    def rows(self, outputs: Array, frames: Sequence[Frame]) -> list[Any] | None:
        """Return the array or boxes of each row; None where a task says nothing but columns."""
        return None


class Map(After):
    """Maps [B, C, H, W]: what is predicted for every pixel is an array per row."""

    def columns(self, outputs: Array, frames: Sequence[Frame]) -> dict[str, Array]:
        """Return a column for each name, such as shares of pixels."""
        rows = [self.of_map(values) for values in self.back(outputs, frames)]
        return {name: np.asarray([row[k] for row in rows], dtype=np.float32) for k, name in enumerate(self.names)}

    def rows(self, outputs: Array, frames: Sequence[Frame]) -> list[Any]:
        """Return the array of each row."""
        return [self.array(values) for values in self.back(outputs, frames)]

    def back(self, outputs: Array, frames: Sequence[Frame]) -> list[Array]:
        """Return the map [C, h, w] of each row in the size of its own image."""
        if not frames:
            return list(outputs)
        parts = [values[:, : each.content[0], : each.content[1]] for values, each in zip(outputs, frames, strict=True)]
        return [bilinear(part, each.file) for part, each in zip(parts, frames, strict=True)]

    @abstractmethod
    def array(self, values: Array) -> Array:
        """Return what is predicted for the pixels of one row, from its map [C, H, W]."""

    @abstractmethod
    def of_map(self, values: Array) -> Sequence[float]:
        """Return the values of the columns of one row."""


class ClassMap(Map):
    """The likeliest class of each pixel [H, W], and the share of each class."""

    def array(self, values: Array) -> Array:
        """Return numbers of classes, of 8 bits where these are enough."""
        return values.argmax(axis=0).astype(np.uint8 if len(values) <= 256 else np.uint16)

    def of_map(self, values: Array) -> Sequence[float]:
        """Return the share of each class."""
        return np.bincount(values.argmax(axis=0).ravel(), minlength=len(values)) / values[0].size


class MaskMap(Map):
    """Where each of several classes is [C, H, W], and its share of the pixels."""

    def array(self, values: Array) -> Array:
        """Return 1 where a class is, else 0."""
        return (values > 0).astype(np.uint8)

    def of_map(self, values: Array) -> Sequence[float]:
        """Return the share of each class."""
        return (values > 0).mean(axis=(1, 2))


class NumberMap(Map):
    """A number for each pixel [H, W], and their mean."""

    def array(self, values: Array) -> Array:
        """Return the numbers in the unit of the labels."""
        return (values[0] * np.float32(self.data["std"]) + np.float32(self.data["mean"])).astype(np.float32)

    def of_map(self, values: Array) -> Sequence[float]:
        """Return the mean."""
        return [self.array(values).mean()]


class DirectionMap(Map):
    """A unit vector for each pixel [3, H, W]."""

    def array(self, values: Array) -> Array:
        """Return the vectors."""
        return values / np.maximum(np.linalg.norm(values, axis=0), 1e-6)

    def of_map(self, values: Array) -> Sequence[float]:
        """Return no column."""
        return []


class Boxes(After):
    """Boxes [B, K, 6], x₁, y₁, x₂, y₂, score and class, of which those of a score of at least `threshold` are told."""

    def columns(self, outputs: Array, frames: Sequence[Frame]) -> dict[str, Array]:
        """Return the number of boxes."""
        return {f"{self.task}_count": (outputs[..., 4] >= self.data["threshold"]).sum(axis=1)}

    def rows(self, outputs: Array, frames: Sequence[Frame]) -> list[Any]:
        """Return the boxes of each row in pixels of its own image, their scores and the names of their classes."""
        found = []
        for row, boxes in enumerate(outputs):
            kept = boxes[boxes[:, 4] >= self.data["threshold"]]
            corners = corners_back(kept[:, :4], frames[row]) if frames else kept[:, :4]
            labels = names_of(self.names, kept[:, 5].astype(np.int64))
            found.append({"boxes": corners, "scores": kept[:, 4], "labels": labels})
        return found


class Points(After):
    """Points [B, K, 3], x, y and the probability of being visible, as columns in pixels of each row's own image."""

    def columns(self, outputs: Array, frames: Sequence[Frame]) -> dict[str, Array]:
        """Return three columns for each point."""
        points = np.array(outputs)
        for row, frame in enumerate(frames):
            points[row, :, :2] = corners_back(np.tile(points[row, :, :2], 2), frame)[:, :2]
        return {
            f"{self.task}_{what}_{point}": points[:, k, place]
            for k, point in enumerate(self.names)
            for place, what in enumerate(("x", "y", "visible"))
        }


def names_of(values: Sequence[str], codes: Array) -> Array:
    """Return the names that numbers stand for, as objects; numbers without names as they are.

    Raises:
        UserError: there are fewer names than classes.
    """
    if not values:
        return codes
    if codes.size and codes.max() >= len(values):
        raise UserError(f"The bundle has {len(values)} names, and predicts class {codes.max()}. Export it again.")
    return np.asarray(values, dtype=object)[codes]


def corners_back(corners: Array, frame: Frame) -> Array:
    """Return corners [N, 4] of the input in pixels of the file."""
    down, across = frame.scale
    return corners / np.asarray([across, down, across, down], dtype=np.float32)


def bilinear(values: Array, size: tuple[int, int]) -> Array:
    """Return a map [C, h, w] as [C, *size] by bilinear weights between the centres of pixels, as torch has it."""
    if values.shape[1:] == size:
        return values
    for axis, new in ((1, size[0]), (2, size[1])):
        old = values.shape[axis]
        at = ((np.arange(new) + 0.5) * old / new - 0.5).clip(0)
        low = np.minimum(at.astype(np.int64), old - 1)
        high, share = np.minimum(low + 1, old - 1), (at - low).astype(np.float32)
        share = share.reshape(-1, 1) if axis == 1 else share
        values = values.take(low, axis) * (1 - share) + values.take(high, axis) * share
    return values


KINDS: dict[str, Callable[[str, Mapping[str, Any]], After]] = {
    "classes": ClassMap, "masks": MaskMap, "numbers": NumberMap, "directions": DirectionMap, "boxes": Boxes,
    "points": Points,
}  # fmt: skip


def after_of(task: str, data: Mapping[str, Any]) -> After:
    """Return what a manifest describes.

    Raises:
        UserError: it is not one of this version's.
    """
    try:
        return KINDS[data["kind"]](task, data)
    except (KeyError, TypeError) as error:
        raise UserError(f"What the bundle says of '{task}' cannot be used: {error!r}. Export it again.") from error
