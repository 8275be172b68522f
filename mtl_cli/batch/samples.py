"""Rows of a dataset: inputs and label fields."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from mtl_cli.batch.specs import IMAGE

Values = Tensor | Mapping[str, Tensor]
"""One tensor, or several by name."""


def change_values(change: Callable[[Tensor], Tensor], values: Values) -> Tensor | dict[str, Tensor]:
    """Return the tensor, or each tensor of the mapping, changed."""
    if isinstance(values, Mapping):
        return {name: change(value) for name, value in values.items()}
    return change(values)


def image_of(values: Values) -> Tensor:
    """Return the image of inputs that are one, or hold one beside the columns of its row."""
    return values if isinstance(values, Tensor) else values[IMAGE]


def images_of(values: Values) -> Tensor | None:
    """Return the images [B, C, H, W] of inputs; None where there are none."""
    if isinstance(values, Tensor):
        return values if values.ndim == 4 else None
    return values.get(IMAGE)


def image_size(values: Values) -> tuple[int, int] | None:
    """Return height and width of images [B, C, H, W] among inputs; None where there are none."""
    images = images_of(values)
    return None if images is None else (images.shape[2], images.shape[3])


def with_image(values: Values, image: Tensor) -> Values:
    """Return inputs with another image, and the same columns beside it."""
    return image if isinstance(values, Tensor) else {**values, IMAGE: image}


class Frame(Protocol):
    """Where in the input of a network an image lies, which may have been resized and filled up."""

    @property
    def file(self) -> tuple[int, int]:
        """Height and width of the image's file."""
        ...

    def map_back(self, values: Tensor) -> Tensor:
        """Return a map [C, H, W] of the input as one of the size of the image's file."""
        ...

    def boxes_back(self, boxes: Tensor) -> Tensor:
        """Return boxes [N, 4] in pixels of the input (x₁, y₁, x₂, y₂) in pixels of the file."""
        ...


@dataclass(frozen=True)
class Sample:
    """Rows of a dataset: inputs [B, ...] and its label fields by name, each [B, ...].

    `counts` are the labels of each row [B] by task, on the host, where they were counted with the rows.
    """

    inputs: Values
    fields: Mapping[str, Tensor]
    counts: Mapping[str, Tensor] = field(default_factory=dict)

    def changed(self, change: Callable[[Tensor], Any]) -> "Sample":
        """Return the same rows with each tensor changed, or with what stands for it in a message."""
        fields, counts = ({name: change(value) for name, value in each.items()} for each in (self.fields, self.counts))
        return Sample(change_values(change, self.inputs), fields, counts)

    def pin_memory(self) -> "Sample":
        """Return the same rows in page-locked memory, for quick copies to a GPU; torch's DataLoader calls this."""
        return replace(self.changed(Tensor.pin_memory), counts=self.counts)

    @property
    def nbytes(self) -> int:
        """Memory of inputs and fields."""
        inputs = (self.inputs,) if isinstance(self.inputs, Tensor) else self.inputs.values()
        return sum(tensor.nbytes for tensor in (*inputs, *self.fields.values()))

    def rows(self, start: int, stop: int) -> "Sample":
        """Return rows `start` … `stop`, the latter excluded."""
        return self.changed(lambda value: value[start:stop])


def move(values: Tensor | Mapping[str, Tensor], device: torch.device) -> Tensor | dict[str, Tensor]:
    """Return the tensor, or each tensor of the mapping, on `device`."""
    return change_values(lambda value: value.to(device, non_blocking=True), values)
