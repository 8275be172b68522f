"""What a camera sees of drawn scenes: one ray per pixel, and the exact labels that follow from where it ends.

The ray of the pixel in row r and column c of an image of `size` pixels to a side is ((c + ½ − size/2)/f, (r + ½ −
size/2)/f, 1) with f = 1.2·size, and it ends at depth · ray. So depth is along the camera's axis, as depth cameras give
it, and points of a scene are at (f·x/z + size/2, f·y/z + size/2) in continuous pixels.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from mtl_cli.images.scenes import ABSENT, BALL, KINDS, Solids, World

FOCAL = 1.2
LEAST = 1 / 256
"""Share of the image's pixels below which a solid that hardly shows has no box."""
DARK_TILE, AMBIENT, HAZE, HAZE_COLOUR = 0.82, 0.35, 10.0, 0.82
"""Share of the light that every second tile gives back; light from all sides; metres in which haze grows e-fold."""


@dataclass(frozen=True)
class View:
    """What B images show, pixel by pixel: layers are 0 ground, 1 wall and 2 … K + 1 the solids."""

    layers: Tensor
    """int64 [B, H, W]."""
    depth: Tensor
    """Metres along the camera's axis [B, H, W]."""
    normals: Tensor
    """Unit vectors in the camera's axes, x right, y down and z ahead, [B, 3, H, W]."""

    @property
    def towards_viewer(self) -> Tensor:
        """The normals with z towards the viewer, [B, 3, H, W]."""
        return self.normals * torch.tensor([1.0, 1.0, -1.0]).reshape(3, 1, 1)


def rays_of(size: int) -> Tensor:
    """Return the rays [3, H·W] of a square image."""
    line = (torch.arange(size) + 0.5 - size / 2) / (FOCAL * size)
    return torch.stack([line.repeat(size), line.repeat_interleave(size), torch.ones(size * size)])


def seen(world: World, size: int) -> View:
    """Return what a square image of each scene shows."""
    rays = rays_of(size)
    normals, reach = world.room.planes[..., :3], world.room.planes[..., 3:]
    slopes = normals @ rays
    room = torch.where(slopes < 0, reach / slopes, math.inf)  # [B, 2, P]
    of_faces, faces = faces_hit(world.solids, rays)
    of_solids = torch.where((world.solids.kinds == BALL).unsqueeze(-1), balls_hit(world.solids, rays), of_faces)
    of_solids = torch.where((world.solids.kinds == ABSENT).unsqueeze(-1), math.inf, of_solids)
    depth, layers = torch.cat([room, of_solids], dim=1).min(dim=1)  # [B, P]
    found = normals_at(world, depth.unsqueeze(1) * rays, layers, faces)
    square = (len(world), size, size)
    return View(layers.reshape(square), depth.reshape(square), found.reshape(len(world), 3, size, size))


def faces_hit(solids: Solids, rays: Tensor) -> tuple[Tensor, Tensor]:
    """Return where rays [3, P] enter boxes and pyramids, the depth [B, K, P] or infinity, and through which face.

    A ray is inside from the last face that it enters to the first that it leaves. The camera is in front of the
    faces with e < 0, behind the others.
    """
    reach = solids.faces[..., 3:]  # [B, K, 6, 1]
    slopes = solids.faces[..., :3] @ rays  # [B, K, 6, P]
    depth, front = reach / slopes, reach < 0
    entry, faces = torch.where(front, torch.where(slopes < 0, depth, math.inf), 0.0).max(dim=2)
    exit_ = torch.where(~front & (slopes > 0), depth, math.inf).amin(dim=2)
    return torch.where(entry < exit_, entry, math.inf), faces


def balls_hit(solids: Solids, rays: Tensor) -> Tensor:
    """Return the depth [B, K, P] at which rays [3, P] enter balls, or infinity: |t·ray − centre| = radius."""
    along = solids.centres @ rays
    length = rays.square().sum(dim=0)
    beyond = solids.centres.square().sum(dim=-1) - solids.radii.square()
    inside = along.square() - length * beyond.unsqueeze(-1)
    return torch.where(inside > 0, (along - inside.clamp(min=0).sqrt()) / length, math.inf)


def normals_at(world: World, points: Tensor, layers: Tensor, faces: Tensor) -> Tensor:
    """Return the normals [B, 3, P] of the surfaces of `layers` [B, P] at points [B, 3, P] that rays end at."""
    rows = torch.arange(len(world)).unsqueeze(1)
    solid = (layers - 2).clamp(min=0)
    face = faces.gather(1, solid.unsqueeze(1)).squeeze(1)
    of_faces = world.solids.faces[rows, solid, face, :3]  # [B, P, 3]
    of_balls = (points.movedim(1, 2) - world.solids.centres[rows, solid]) / world.solids.radii[rows, solid].unsqueeze(
        -1
    )
    of_room = world.room.planes[rows, layers.clamp(max=1), :3]
    is_ball = (world.solids.kinds[rows, solid] == BALL).unsqueeze(-1)
    found = torch.where(is_ball, of_balls, of_faces)
    return torch.where((layers < 2).unsqueeze(-1), of_room, found).movedim(2, 1)


def painted(world: World, view: View) -> Tensor:
    """Return images uint8 [B, 3, H, W]: coloured surfaces, tiles of a metre, light by the angle, and haze by depth."""
    size = view.depth.shape[-1]
    points = view.depth.flatten(1).unsqueeze(1) * rays_of(size)  # [B, 3, P]
    layers = view.layers.flatten(1)
    rows = torch.arange(len(world)).unsqueeze(1)
    colours = torch.cat([world.room.colours, world.solids.colours], dim=1)[rows, layers]  # [B, P, 3]
    on_room = (world.room.tiling @ points.unsqueeze(1)).floor().sum(dim=2) % 2  # [B, 2, P]
    dark = on_room.gather(1, layers.clamp(max=1).unsqueeze(1)).squeeze(1).bool() & (layers < 2)
    facing = (view.normals.flatten(2) * world.room.light.unsqueeze(-1)).sum(dim=1).clamp(min=0)
    lit = (AMBIENT + (1 - AMBIENT) * facing) * torch.where(dark, DARK_TILE, 1.0)
    clear = (-view.depth.flatten(1) / HAZE).exp()
    shown = clear.unsqueeze(-1) * lit.unsqueeze(-1) * colours + (1 - clear.unsqueeze(-1)) * HAZE_COLOUR
    return (255 * shown).round().byte().movedim(2, 1).reshape(len(world), 3, size, size)


def pixels_of_solids(view: View, num_solids: int) -> Tensor:
    """Return where each solid shows, bool [B, K, H, W]."""
    return view.layers.unsqueeze(1) == torch.arange(2, num_solids + 2).reshape(1, -1, 1, 1)


def is_boxed(shown: Tensor) -> Tensor:
    """Return which solids show enough to have a box [B, K], from where they show [B, K, H, W]."""
    return shown.sum(dim=(2, 3)) >= LEAST * shown.shape[2] * shown.shape[3]


def boxes_of(shown: Tensor, kinds: Tensor) -> list[Tensor]:
    """Return the boxes [n, 5] of each image: the extent of what shows of a solid, x₁, y₁, x₂, y₂, and its kind."""
    size = shown.shape[-1]
    sides = []
    for axis in (2, 3):  # columns, then rows
        there = shown.any(dim=axis).float()  # [B, K, size]
        sides.append((there.argmax(dim=-1), size - there.flip(-1).argmax(dim=-1)))
    (left, right), (top, bottom) = sides
    found = torch.stack([left, top, right, bottom, kinds], dim=-1).float()
    return [row[marks] for row, marks in zip(found, is_boxed(shown), strict=True)]


def nearest_first(view: View, shown: Tensor) -> Tensor:
    """Return the depth of the nearest pixel of each solid [B, K]; infinity for one without a box."""
    nearest = torch.where(shown, view.depth.unsqueeze(1), math.inf).amin(dim=(2, 3))
    return torch.where(is_boxed(shown), nearest, math.inf)


def points_of(world: World, view: View, shown: Tensor) -> Tensor:
    """Return the centre of the nearest solid of each kind, [B, 3, 3]: x and y in pixels, and whether it is visible.

    It is visible where the pixel in which the centre lies shows this solid. Without a solid of the kind all are 0.
    """
    size, solids = shown.shape[-1], world.solids
    places = FOCAL * size * solids.centres[..., :2] / solids.centres[..., 2:] + size / 2  # [B, K, 2]
    column, row = places.floor().long().unbind(dim=-1)
    inside = (column >= 0) & (column < size) & (row >= 0) & (row < size)
    at = (row.clamp(0, size - 1) * size + column.clamp(0, size - 1)).unsqueeze(-1)
    visible = inside & shown.flatten(2).gather(2, at).squeeze(-1)
    known = torch.cat([places, visible.unsqueeze(-1).float()], dim=-1)  # [B, K, 3]
    depth = nearest_first(view, shown)
    rows, found = torch.arange(len(world)), []
    for kind in range(len(KINDS)):
        least, first = torch.where(solids.kinds == kind, depth, math.inf).min(dim=1)
        found.append(torch.where(least.isfinite().unsqueeze(-1), known[rows, first], 0.0))
    return torch.stack(found, dim=1)
