import numpy as np
import torch

from mtl_cli.images.scene_views import boxes_of, painted, pixels_of_solids, seen
from mtl_cli.images.scenes import ABSENT, BALL, make_world

SIZE = 48


def outside(world, row, points):
    """How far points [P, 3] are outside each surface [2 + K, P]: positive in free space, 0 on a surface."""
    room, solids = world.room, world.solids
    found = [points @ plane[:3].double() - plane[3].double() for plane in room.planes[row]]
    for k, kind in enumerate(solids.kinds[row].tolist()):
        if kind == ABSENT:
            found.append(torch.full((len(points),), torch.inf, dtype=torch.float64))
        elif kind == BALL:
            found.append((points - solids.centres[row, k].double()).norm(dim=1) - solids.radii[row, k].double())
        else:
            found.append(
                (points @ solids.faces[row, k, :, :3].double().T - solids.faces[row, k, :, 3].double()).amax(1)
            )
    return torch.stack(found)


def pixel_points(view, row):
    """The points [3, H, W] that pixels show, by the formula of the docstring."""
    place = (np.arange(SIZE) + 0.5 - SIZE / 2) / (1.2 * SIZE)
    x, y = np.meshgrid(place, place)
    return torch.from_numpy(np.stack([x, y, np.ones_like(x)])) * view.depth[row].double()


def test_every_ray_ends_on_its_surface_and_passes_through_free_space_before():
    world = make_world(6, 5)
    view = seen(world, SIZE)
    for row in range(6):
        points = pixel_points(view, row).reshape(3, -1).T
        distance = outside(world, row, points).gather(0, view.layers[row].reshape(1, -1))
        assert distance.abs().max() < 1e-4
        for share in (0.2, 0.5, 0.8, 0.9, 0.97, 0.995):
            assert outside(world, row, points * share).min() > 0


def test_normals_are_those_of_the_depth_by_finite_differences():
    world = make_world(8, 6)
    view = seen(world, SIZE)
    angles = []
    for row in range(8):
        points, normals, layers = pixel_points(view, row), view.normals[row].double(), view.layers[row]
        right, down = points[:, 1:-1, 2:] - points[:, 1:-1, :-2], points[:, 2:, 1:-1] - points[:, :-2, 1:-1]
        own = torch.nn.functional.normalize(torch.linalg.cross(down, right, dim=0), dim=0)  # it points at the camera
        middle = normals[:, 1:-1, 1:-1]
        alike = torch.ones(SIZE - 2, SIZE - 2, dtype=torch.bool)
        for dy, dx in ((0, 1), (2, 1), (1, 0), (1, 2)):
            beside = slice(dy, dy + SIZE - 2), slice(dx, dx + SIZE - 2)
            alike &= (layers[beside] == layers[1:-1, 1:-1]) & ((normals[:, *beside] * middle).sum(dim=0) > 0.9)
        angles.append(torch.rad2deg((own * middle).sum(dim=0).clamp(-1, 1).acos())[alike])
    angles = torch.cat(angles)
    assert len(angles) > 8 * 1500
    assert angles.median() < 0.1
    assert angles.quantile(0.99) < 3
    assert torch.allclose(view.towards_viewer.norm(dim=1), torch.ones(8, SIZE, SIZE), atol=1e-4)
    assert torch.equal(view.towards_viewer[:, 2], -view.normals[:, 2])
    for row in range(8):  # what is seen faces the camera
        assert ((pixel_points(view, row) * view.normals[row]).sum(dim=0) < 1e-4).all()


def test_a_box_is_the_extent_of_what_shows():
    world = make_world(20, 7)
    view = seen(world, SIZE)
    boxes = boxes_of(pixels_of_solids(view, 4), world.solids.kinds)
    assert sum(map(len, boxes)) > 40
    for row, own in enumerate(boxes):
        wanted = []
        for k in range(4):
            y, x = np.nonzero(view.layers[row].numpy() == k + 2)
            if len(x) >= SIZE * SIZE / 256:
                wanted.append([x.min(), y.min(), x.max() + 1, y.max() + 1, int(world.solids.kinds[row, k])])
        assert own.tolist() == wanted


def test_a_scene_depends_on_its_number_alone():
    few, many = make_world(3, 1, "train"), make_world(9, 1, "train")
    again = many.take(torch.arange(3))
    assert torch.equal(painted(few, seen(few, SIZE)), painted(again, seen(again, SIZE)))
    other = make_world(3, 1, "val")
    assert not torch.equal(few.solids.centres, other.solids.centres)
