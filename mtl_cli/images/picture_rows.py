"""One split of a set of image files: rows that are decoded when they are fetched, or once into memory."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mtl_cli.batch import (
    IMAGE,
    MISSING_CLASS,
    FieldSpec,
    Sample,
    Split,
    Values,
    filled_up,
    image_of,
    pad_maps,
    stacked,
    stacked_fields,
    with_image,
)
from mtl_cli.batch.recycled import Empty, Recycled, fresh
from mtl_cli.images.decoding import Array, decode_image
from mtl_cli.images.picture_labels import read_picture
from mtl_cli.images.picture_targets import MAPS, PictureTarget
from mtl_cli.images.resizing import Frame, framed, resized
from mtl_cli.images.scale import WHITE, require_scale

IN_CACHE = 2**20
"""Bytes of inputs that are scaled at a time on a CPU: four passes over a whole batch take twice as long."""


@dataclass(frozen=True)
class Pixels:
    """How pixels become inputs: the number of channels, their mean and deviation where white is 1, and the size.

    Images are brought into `size` (H, W), their proportions kept; None leaves each as it is. `floats` says whether the
    training images hold floats; None: not known, as in older checkpoints.
    """

    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    size: tuple[int, int] | None = None
    floats: bool | None = None

    def read(self, path: Path) -> tuple[Tensor, Frame]:
        """Return an image [C, h, w] as it is decoded, in its size as an input, and how it got there."""
        return self.fitted(decode_image(path, self.channels), str(path))

    def fitted(self, decoded: Array, name: str) -> tuple[Tensor, Frame]:
        """Return a decoded image [C, h, w] in its size as an input, and how it got there; `name` is for messages.

        Raises:
            UserError: its pixels are on another scale than those of training.
        """
        require_scale(decoded, self.floats, name)
        frame = framed((decoded.shape[1], decoded.shape[2]), self.size)
        return torch.from_numpy(resized(decoded, frame)), frame

    def bright(self, image: Tensor) -> Tensor:
        """Return an image [C, h, w] as float32 on a scale where white is 1; floats are as they are."""
        return image.float() / WHITE.get(str(image.dtype).removeprefix("torch."), 1.0)

    def standard(self, image: Tensor) -> Tensor:
        """Return an image of that scale as (image − mean) / std."""
        mean, std = (torch.tensor(each).reshape(-1, 1, 1) for each in (self.mean, self.std))
        return (image - mean) / std

    def scaled(self, image: Tensor) -> Tensor:
        """Return an image [C, h, w] as it is decoded as an input."""
        return self.standard(self.bright(image))

    def scaled_bytes(self, images: Tensor, into: Tensor) -> Tensor:
        """Return images uint8 [B, C, H, W] as inputs, as `scaled` does, in one piece of memory, `into`."""
        mean, std = (torch.tensor(each, device=images.device).reshape(-1, 1, 1) for each in (self.mean, self.std))
        at_once = max(1, IN_CACHE // into[0].nbytes) if into.device.type == "cpu" else len(images)
        for part, found in zip(images.split(at_once), into.split(at_once), strict=True):
            found.copy_(part).div_(WHITE["uint8"]).sub_(mean).div_(std)
        return into

    def filled(self, row: Sample, maps: Collection[str] = ()) -> Sample:
        """Return a row whose image and `maps`, fields [..., h, w], fill `size`: with the mean, 0, and no label."""
        if self.size is None:
            return row
        fields = dict(row.fields)
        for name in maps:
            missing = torch.nan if fields[name].is_floating_point() else MISSING_CLASS
            fields[name] = filled_up(fields[name], self.size, missing)
        image = filled_up(image_of(row.inputs), self.size, 0.0)
        return replace(row, inputs=with_image(row.inputs, image), fields=fields)

    def field_spec(self, shape: tuple[int, int]) -> FieldSpec:
        """Return the spec of a field that holds the images themselves, [C, H, W] with (H, W) in training."""
        return FieldSpec("image", shape=(self.channels, *shape), mean=self.mean, std=self.std)

    def batch(self, images: Sequence[Tensor]) -> Tensor:
        """Return images as one batch of inputs [B, C, H, W]."""
        rows = [self.scaled(image) for image in images]
        return pad_maps(rows if self.size is None else [filled_up(row, self.size, 0.0) for row in rows], 0.0)


@dataclass(frozen=True)
class Source:
    """Where the rows of a file come from: paths of images, cells of picture targets [N] by field, and their folder."""

    folder: Path
    images: Sequence[str]
    cells: Mapping[str, Sequence[tuple[Any, ...]]]
    targets: Mapping[str, PictureTarget]
    pixels: Pixels


class PictureRows(Split):
    """Images with label fields, some of which are pictures themselves.

    Args:
        source: where rows come from.
        rows: the rows of the source that are in this split [N].
        fields: the other label fields [N, ...] of these rows.
        specs: every field's spec.
        kept: decoded rows by number of the source's row, where they are held in memory.
        alike: a number per row [N], the same for images of one size; None where all are.
        copies: fields that hold the image itself, as it is as an input.
        beside: makes the columns that stand beside images of numbers of rows [B]; None where images stand alone.
    """

    def __init__(
        self,
        source: Source,
        rows: Array,
        fields: Mapping[str, Tensor],
        specs: Mapping[str, FieldSpec],
        kept: dict[int, Sample] | None,
        alike: Tensor | None,
        copies: Sequence[str] = (),
        beside: Callable[[Array], Mapping[str, Tensor]] | None = None,
    ) -> None:
        self.source, self.numbers, self.fields, self.specs, self.kept = source, rows, dict(fields), dict(specs), kept
        self.alike, self.copies, self.beside = alike, tuple(copies), beside
        self._recycled = Recycled()

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.numbers)

    def __getitems__(self, indices: Tensor) -> Sample:
        """Return the rows at `indices` [B], scaled, the smaller ones filled up at the bottom and right."""
        found = self.raw(indices)
        return replace(found, inputs=self.finished(found.inputs))

    def finished(self, inputs: Values) -> Values:
        """Return inputs whose images are scaled; those that are floats are so already."""
        images = image_of(inputs)
        if images.is_floating_point():
            return inputs
        on_cpu = images.device.type == "cpu"
        into = (
            self._recycled.empty(images.shape, torch.float32)
            if on_cpu
            else torch.empty_like(images, dtype=torch.float32)
        )
        return with_image(inputs, self.source.pixels.scaled_bytes(images, into))

    def raw(self, indices: Tensor, empty: Empty = fresh) -> Sample:
        """Return the rows at `indices` [B] with images of 8 bit as they are, where they have one size, that of inputs.

        A process hands them over in a quarter of the memory. Others are as `__getitems__` returns them.
        """
        decoded = self._decoded(indices)
        images = [image_of(row.inputs) for row in decoded]
        shapes = {(image.dtype, image.shape) for image in images}
        one_size = len(shapes) == 1 and self.source.pixels.size in (None, images[0].shape[1:])
        if self.copies or not one_size or images[0].dtype != torch.uint8:
            return self._scaled(self._whole(decoded, indices))
        joined = torch.stack(images, out=empty((len(images), *images[0].shape), torch.uint8))
        fields = stacked_fields([row.fields for row in decoded], self.specs)
        inputs = {IMAGE: joined, **self._columns(indices)} if self.beside else joined
        return Sample(inputs, {**fields, **self.fields_of(indices, list(self.fields))})

    def _scaled(self, decoded: Sequence[Sample]) -> Sample:
        pixels, maps = self.source.pixels, [k for k, target in self.source.targets.items() if target.kind in MAPS]
        rows = []
        for row in decoded:
            image = pixels.scaled(image_of(row.inputs))
            fields = {**row.fields, **dict.fromkeys(self.copies, image)}
            whole = Sample(with_image(row.inputs, image), fields)
            rows.append(pixels.filled(whole, [*maps, *self.copies]))
        return stacked(rows, self.specs)

    def apart(self, indices: Tensor, specs: Mapping[str, FieldSpec]) -> list[Sample]:
        """Return the rows at `indices` [B] one by one: images [C, h, w] as they are decoded."""
        return self._whole(self._decoded(indices), indices)

    def _whole(self, decoded: Sequence[Sample], indices: Tensor) -> list[Sample]:
        """Return decoded rows with the columns beside their images and with their other label fields."""
        found, columns = [], self._columns(indices)
        for place, (row, index) in enumerate(zip(decoded, indices.tolist(), strict=True)):
            beside = {name: value[place] for name, value in columns.items()}
            inputs = {IMAGE: image_of(row.inputs), **beside} if self.beside else row.inputs
            found.append(Sample(inputs, {**row.fields, **{k: field[index] for k, field in self.fields.items()}}))
        return found

    def _columns(self, indices: Tensor) -> Mapping[str, Tensor]:
        return self.beside(self.numbers[indices.numpy()]) if self.beside else {}

    def fields_of(self, indices: Tensor, names: Sequence[str]) -> Mapping[str, Tensor]:
        """Return label fields of the rows at `indices` [B]; only those of pictures decode files."""
        if all(name in self.fields for name in names):
            return {name: self.fields[name].index_select(0, indices) for name in names}
        return super().fields_of(indices, names)

    def _decoded(self, indices: Tensor) -> list[Sample]:
        """Return what the files of the rows at `indices` [B] hold, image by image."""
        numbers = self.numbers[indices.numpy()].tolist()
        if self.kept is None:
            return [decoded_row(self.source, number) for number in numbers]
        return [self.kept[number] for number in numbers]


def decoded_row(source: Source, number: int) -> Sample:
    """Return a row of a source: the image as it is decoded and the fields that are pictures, in the size of inputs."""
    path = source.folder / source.images[number]
    image, frame = source.pixels.read(path)
    fields: dict[str, Tensor] = {}
    for name, target in source.targets.items():
        found = read_picture(target, source.cells[name][number], source.folder, frame.file)
        if found is not None:
            fields[name] = frame.of_field(found, target.kind)
    return Sample(image, fields)
