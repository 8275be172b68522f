"""What is in drawn scenes: balls, boxes and pyramids on a ground before a slanted wall, by seed.

The world's axes are x right, y down and z ahead, in metres; the ground is level. The camera is at the origin, turned
down by `PITCH` and to the side by `ROLL`. What a `Room` and `Solids` hold is in the camera's own axes, which are named
alike. N is the number of scenes, K = 4 that of solids, of which the last ones may be absent.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from mtl_cli.seeding import generator

KINDS = ("ball", "box", "pyramid")
BALL, BOX, PYRAMID, ABSENT = 0, 1, 2, -1
MIN_SOLIDS, MAX_SOLIDS = 2, 4
PITCH, ROLL, YAW = (10.0, 30.0), (-8.0, 8.0), (-25.0, 25.0)
"""Degrees: of the camera, and of the wall about the vertical axis."""
HEIGHT, WALL = (1.4, 1.8), (6.0, 8.0)
"""Metres from the camera down to the ground, and to the wall."""
NEAREST, APART, LATERAL = 2.4, 0.6, 0.32
"""Metres ahead of the nearest place for a solid, and between places; how far to a side, as a share of metres ahead."""
GROUND, STONE = (0.66, 0.58, 0.46), (0.50, 0.55, 0.65)


@dataclass(frozen=True)
class Room:
    """Ground and wall. Of a plane, the normal n points into the room; n·p = e on it."""

    planes: Tensor
    """Normal and e of ground and wall [N, 2, 4]."""
    tiling: Tensor
    """Two directions on each, along which its tiles lie [N, 2, 2, 3]."""
    light: Tensor
    """The direction towards the light [N, 3], of unit length."""
    colours: Tensor
    """Red, green and blue from 0 to 1 [N, 2, 3]."""


@dataclass(frozen=True)
class Solids:
    """Solids on the ground. A box or a pyramid is where n·p ≤ e for each of its faces."""

    kinds: Tensor
    """Place in `KINDS` [N, K], or ABSENT."""
    centres: Tensor
    """[N, K, 3]; that of a pyramid is half-way up."""
    radii: Tensor
    """Of balls [N, K]."""
    faces: Tensor
    """Outward normal and e of each face [N, K, 6, 4]; a pyramid names its base twice."""
    colours: Tensor
    """Red, green and blue from 0 to 1 [N, K, 3]."""


@dataclass(frozen=True)
class World:
    """N scenes."""

    room: Room
    solids: Solids

    def __len__(self) -> int:
        """Number of scenes."""
        return len(self.solids.kinds)

    def take(self, indices: Tensor) -> "World":
        """Return the scenes at `indices` [B]."""
        room = Room(**{name: values[indices] for name, values in vars(self.room).items()})
        return World(room, Solids(**{name: values[indices] for name, values in vars(self.solids).items()}))


class Numbers:
    """Uniform random numbers: as many for every scene, so that the first scenes are the same in a larger set.

    Args:
        num_scenes: N.
        seed: names the stream.
    """

    per_scene = 64

    def __init__(self, num_scenes: int, *seed: int | str) -> None:
        self._left = torch.rand(num_scenes, self.per_scene, generator=generator("scenes", *seed))

    def between(self, low: float, high: float, *shape: int) -> Tensor:
        """Return the next numbers [N, *shape], between `low` and `high`."""
        count = math.prod(shape)
        assert count <= self._left.shape[1], "per_scene is too small"
        taken, self._left = self._left[:, :count], self._left[:, count:]
        return low + (high - low) * taken.reshape(-1, *shape)


def make_world(num_scenes: int, *seed: int | str) -> World:
    """Return scenes, each of which depends on the seed and its own number alone."""
    numbers = Numbers(num_scenes, *seed)
    axes = camera_axes(numbers)
    height = numbers.between(*HEIGHT)
    return World(make_room(numbers, axes, height), make_solids(numbers, axes, height))


def camera_axes(numbers: Numbers) -> Tensor:
    """Return rotations [N, 3, 3] from the world's axes to the camera's: down by the pitch, then aside by the roll."""
    pitch, roll = (numbers.between(*angles).deg2rad() for angles in (PITCH, ROLL))
    zero, one = torch.zeros_like(pitch), torch.ones_like(pitch)
    down = [[one, zero, zero], [zero, pitch.cos(), -pitch.sin()], [zero, pitch.sin(), pitch.cos()]]
    aside = [[roll.cos(), -roll.sin(), zero], [roll.sin(), roll.cos(), zero], [zero, zero, one]]
    return matrix(aside) @ matrix(down)


def make_room(numbers: Numbers, axes: Tensor, height: Tensor) -> Room:
    """Return ground and wall, tiled by metres, and a light above the camera."""
    yaw, distance = numbers.between(*YAW).deg2rad(), numbers.between(*WALL)
    zero, one = torch.zeros_like(yaw), torch.ones_like(yaw)
    normals = matrix([[zero, -one, zero], [yaw.sin(), zero, -yaw.cos()]])  # [N, 2, 3]
    across = matrix([[one, zero, zero], [yaw.cos(), zero, yaw.sin()]])
    along = matrix([[zero, zero, one], [zero, one, zero]])
    reach = -torch.stack([height, distance], dim=-1)
    tint = numbers.between(0.9, 1.1, 2).unsqueeze(-1)
    return Room(
        planes=torch.cat([turned(normals, axes), reach.unsqueeze(-1)], dim=-1),
        tiling=turned(torch.stack([across, along], dim=2), axes),
        light=F.normalize(torch.stack([numbers.between(-0.5, 0.5), -0.8 * one, -one], dim=-1), dim=-1),
        colours=(tint * torch.tensor([GROUND, STONE])).clamp(max=1.0),
    )


def make_solids(numbers: Numbers, axes: Tensor, height: Tensor) -> Solids:
    """Return solids that stand on the ground, each nearer or farther and more to the left or right than the others."""
    k = MAX_SOLIDS
    count = numbers.between(MIN_SOLIDS, MAX_SOLIDS + 1).floor()
    kinds = numbers.between(0, len(KINDS), k).long().clamp(max=len(KINDS) - 1)
    half = numbers.between(0.28, 0.48, k, 3)
    half[..., 1] *= torch.where(kinds == PYRAMID, 1.3, 1.0)
    ahead = NEAREST + APART * (shuffle(numbers) + numbers.between(0, 0.4, k))
    aside = LATERAL * ((shuffle(numbers) + numbers.between(0, 1, k)) * 2 / k - 1)
    rise = torch.where(kinds == BALL, half[..., 0], half[..., 1])
    centres = turned(torch.stack([aside * ahead, height.unsqueeze(-1) - rise, ahead], dim=-1), axes)
    turn = numbers.between(-math.pi, math.pi, k)
    zero, one = torch.zeros_like(turn), torch.ones_like(turn)
    spin = matrix([[turn.cos(), zero, turn.sin()], [zero, one, zero], [-turn.sin(), zero, turn.cos()]])  # [N, K, 3, 3]
    outward, reach = own_faces(kinds, half)
    outward = torch.einsum("nij,nkjl,nkfl->nkfi", axes, spin, outward)
    reach = reach + torch.einsum("nkfi,nki->nkf", outward, centres)
    return Solids(
        kinds=torch.where(torch.arange(k) < count.unsqueeze(-1), kinds, ABSENT),
        centres=centres,
        radii=half[..., 0],
        faces=torch.cat([outward, reach.unsqueeze(-1)], dim=-1),
        colours=solid_colours(numbers, kinds),
    )


def own_faces(kinds: Tensor, half: Tensor) -> tuple[Tensor, Tensor]:
    """Return normals [N, K, 6, 3] and reach e [N, K, 6] of the faces about a solid's own centre.

    `half` [N, K, 3] are half width, height and depth. A pyramid has a square base of its width. Its apex is `half
    height` above its centre, and a slanted face leans from the edge of the base to there.
    """
    box = torch.tensor([[1.0, 0, 0], [-1, 0, 0], [0, 0, 1], [0, 0, -1], [0, 1, 0], [0, -1, 0]])
    reach = half[..., [0, 0, 2, 2, 1, 1]]
    width, rise = half[..., 0, None], 2 * half[..., 1, None]
    length = (width.square() + rise.square()).sqrt()
    sides = box[:4, [0, 2]] * (rise / length).unsqueeze(-1)  # [N, K, 4, 2], x and z
    upward = (-width / length).expand(sides.shape[:-1])
    slanted = torch.stack([sides[..., 0], upward, sides[..., 1]], dim=-1)
    base = box[4].expand(*slanted.shape[:2], 2, 3)
    slanted_reach = (width * rise / (2 * length)).expand(sides.shape[:-1])
    is_box = (kinds != PYRAMID).unsqueeze(-1)
    return (
        torch.where(is_box.unsqueeze(-1), box, torch.cat([slanted, base], dim=2)),
        torch.where(is_box, reach, torch.cat([slanted_reach, reach[..., [4, 4]]], dim=-1)),
    )


def solid_colours(numbers: Numbers, kinds: Tensor) -> Tensor:
    """Return red, green and blue [N, K, 3]: balls are reddish, boxes greenish, pyramids bluish."""
    hue = kinds / len(KINDS) + numbers.between(-0.1, 0.1, MAX_SOLIDS)
    value, saturation = numbers.between(0.6, 1.0, MAX_SOLIDS), numbers.between(0.6, 0.9, MAX_SOLIDS)
    sector = (torch.tensor([5.0, 3.0, 1.0]) + 6 * hue.unsqueeze(-1)) % 6
    share = torch.minimum(sector, 4 - sector).clamp(0, 1)
    return value.unsqueeze(-1) * (1 - saturation.unsqueeze(-1) * share)


def shuffle(numbers: Numbers) -> Tensor:
    """Return permutations [N, K] of 0 … K − 1."""
    return numbers.between(0, 1, MAX_SOLIDS).argsort(dim=1).float()


def matrix(rows: list[list[Tensor]]) -> Tensor:
    """Return entries, each [...], as matrices [..., rows, columns]."""
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)


def turned(vectors: Tensor, axes: Tensor) -> Tensor:
    """Return vectors [N, ..., 3] turned by rotations [N, 3, 3]."""
    return torch.einsum("nij,n...j->n...i", axes, vectors)
