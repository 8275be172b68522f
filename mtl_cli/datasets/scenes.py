"""Drawn scenes: images of solids with exact labels of every dense kind, drawn by seed."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from mtl_cli.batch import MISSING_CLASS, FieldSpec, InputSpec, Sample, Split, pad_sets
from mtl_cli.datasets.base import SPLITS, checked_batch_size
from mtl_cli.datasets.image_base import OneSize
from mtl_cli.errors import UserError
from mtl_cli.images.picture_rows import Pixels
from mtl_cli.images.scene_views import (
    View,
    boxes_of,
    is_boxed,
    nearest_first,
    painted,
    pixels_of_solids,
    points_of,
    seen,
)
from mtl_cli.images.scenes import KINDS, MAX_SOLIDS, World, make_world
from mtl_cli.tables.given import Given

MEAN, STD = (0.563, 0.562, 0.536), (0.111, 0.086, 0.112)
"""Mean and standard deviation of each channel of 2,000 training scenes of 64 pixels, where white is 1."""
PIXELS = Pixels(3, MEAN, STD)
SMALLEST = 16
SPECS = {
    "nearest": FieldSpec("class", len(KINDS), KINDS),
    "count": FieldSpec("count"),
    "mask": FieldSpec("mask", 2 + len(KINDS), ("ground", "wall", *KINDS)),
    "instances": FieldSpec("mask", 1 + MAX_SOLIDS, ("none", *(str(k + 1) for k in range(MAX_SOLIDS)))),
    "boxes": FieldSpec("boxes", len(KINDS), KINDS, (5,), varying=True),
    "depth": FieldSpec("depth"),
    "normals": FieldSpec("normals"),
    "points": FieldSpec("keypoints", len(KINDS), KINDS, (len(KINDS), 3), columns=KINDS),
}


class Scenes(OneSize):
    """Images [3, size, size] of two to four solids in a room, drawn when they are fetched.

    Fields: `nearest`, the kind of the nearest solid (ball, box or pyramid); `count`, the number of solids that show;
    `mask`, ground, wall or the kind of solid of each pixel; `instances`, the number of its solid, 0 for none; `boxes`
    with kinds; `depth` in metres along the camera's axis; `normals`, x right, y down and z towards the viewer; and
    `points`, the centre of the nearest solid of each kind. `mtl_cli.images.scenes` says what is in a scene, and
    `mtl_cli.images.scene_views` what of it shows.

    A scene depends on `seed`, its split and its number alone, so that a larger set begins with the smaller one.

    Args:
        size: height and width in pixels.
        num_train: training scenes.
        num_val: validation scenes.
        num_test: test scenes.
        seed: which scenes; the run's seed does not change them.
        batch_size: scenes drawn per step.

    Raises:
        UserError: a number is too small.
    """

    def __init__(self, size: int, num_train: int, num_val: int, num_test: int, seed: int, batch_size: int) -> None:
        if size < SMALLEST:
            raise UserError(f"size is {size}; scenes have at least {SMALLEST} pixels to a side. Use size=64.")
        numbers = dict(zip(SPLITS, (num_train, num_val, num_test), strict=True))
        problems = [
            f"num_{name} is {number}; each split needs a scene. Use num_{name}=200."
            for name, number in numbers.items()
            if number < 1
        ]
        if problems:
            raise UserError(problems)
        self.batch_size = checked_batch_size(batch_size)
        self.size, self.seed = size, seed
        self._numbers = numbers
        self.shape, self.mean, self.std = (3, size, size), MEAN, STD
        self.input_spec = InputSpec("image", self.shape)
        self.field_specs = SPECS

    def images(self, name: str) -> Split:
        """Return the scenes of "train", "val" or "test"."""
        return DrawnScenes(make_world(self._numbers[name], self.seed, name), self.size)

    def given_rows(self, split: str, most: int) -> Given:
        """Return the first images of a split, uint8 [N, 3, size, size]."""
        world = make_world(self._numbers[split], self.seed, split)
        world = world.take(torch.arange(min(most, len(world))))
        return Given(arrays=painted(world, seen(world, self.size)).numpy())


class DrawnScenes(Split):
    """Scenes that are drawn when they are fetched.

    Args:
        world: what is in them.
        size: height and width in pixels.
    """

    def __init__(self, world: World, size: int) -> None:
        self.world, self.size = world, size

    def __len__(self) -> int:
        """Number of scenes."""
        return len(self.world)

    def __getitems__(self, indices: Tensor) -> Sample:
        """Return the scenes at `indices` [B]: images float32 [B, 3, size, size] and all fields."""
        world = self.world.take(indices)
        view = seen(world, self.size)
        images = PIXELS.scaled(painted(world, view))
        return Sample(images, labels_of(world, view, tuple(SPECS)))

    def fields_of(self, indices: Tensor, names: Sequence[str]) -> Mapping[str, Tensor]:
        """Return label fields of the scenes at `indices` [B], without painting them."""
        world = self.world.take(indices)
        return labels_of(world, seen(world, self.size), names)


def labels_of(world: World, view: View, names: Sequence[str]) -> dict[str, Tensor]:
    """Return the named label fields of scenes, as the specs say."""
    shown = pixels_of_solids(view, MAX_SOLIDS)
    make: dict[str, Callable[[], Tensor]] = {
        "nearest": lambda: nearest_kind(world, view, shown),
        "count": lambda: is_boxed(shown).sum(dim=1).float(),
        "mask": lambda: classes_of(world, view),
        "instances": lambda: (view.layers - 1).clamp(min=0),
        "boxes": lambda: pad_sets(boxes_of(shown, world.solids.kinds), (5,)),
        "depth": lambda: view.depth,
        "normals": lambda: view.towards_viewer,
        "points": lambda: points_of(world, view, shown),
    }
    return {name: make[name]() for name in names}


def nearest_kind(world: World, view: View, shown: Tensor) -> Tensor:
    """Return the kind of the nearest solid that shows [B], −100 where none does."""
    least, first = nearest_first(view, shown).min(dim=1)
    kinds = world.solids.kinds.gather(1, first.unsqueeze(1)).squeeze(1)
    return torch.where(least.isfinite(), kinds, MISSING_CLASS)


def classes_of(world: World, view: View) -> Tensor:
    """Return what each pixel shows [B, H, W]: 0 ground, 1 wall, 2 … the kinds of solids."""
    room = torch.tensor([[0, 1]]).expand(len(world), 2)
    kind_of = torch.cat([room, world.solids.kinds + 2], dim=1)  # [B, 2 + K]
    return kind_of.gather(1, view.layers.flatten(1)).reshape(view.layers.shape)
