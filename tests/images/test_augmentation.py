"""One geometry for all: after any change, what marks a place in the image marks the same place in every label."""

import numpy as np
import pytest
import torch

from mtl_cli.batch import FieldSpec, Sample
from mtl_cli.errors import UserError
from mtl_cli.images.augment_options import AugmentOptions
from mtl_cli.images.augmentation import ImageAugmentation, rotated
from mtl_cli.images.moved_boxes import kept_boxes
from mtl_cli.images.picture_rows import Pixels

PIXELS = Pixels(1, (0.0,), (1.0,))
SPECS = {
    "mask": FieldSpec("mask", 3),
    "layers": FieldSpec("multimask", 2),
    "depth": FieldSpec("depth"),
    "normals": FieldSpec("normals"),
    "boxes": FieldSpec("boxes", 1, shape=(5,), varying=True),
    "points": FieldSpec("keypoints"),
}
GEOMETRY = {
    "flip": {"flip": 1.0},
    "flip_vertical": {"flip_vertical": 1.0},
    "turns": {"quarter_turns": True, "crop": 40},
    "zoom": {"zoom": [0.7, 1.4]},
    "rotate": {"rotate": 60.0},
    "shift": {"shift": 0.2},
    "crop": {"crop": [24, 32]},
    "fill up": {"crop": [80, 72]},
    "all": {"flip": 0.5, "flip_vertical": 0.5, "zoom": [0.8, 1.25], "rotate": 30.0, "shift": 0.1, "crop": 40,
            "quarter_turns": True},
}  # fmt: skip


def disc(centre, size=(48, 56), radius=7.0):
    """A white disc at (x, y), with every kind of label of it."""
    y, x = torch.meshgrid(torch.arange(size[0]) + 0.5, torch.arange(size[1]) + 0.5, indexing="ij")
    inside = (x - centre[0]) ** 2 + (y - centre[1]) ** 2 < radius**2
    image = (inside * 255).to(torch.uint8).unsqueeze(0)
    box = [centre[0] - radius, centre[1] - radius, centre[0] + radius, centre[1] + radius, 0.0]
    fields = {
        "mask": inside.long() * 2,
        "layers": torch.stack([inside, ~inside]).float(),
        "depth": torch.where(inside, 4.0, 8.0),
        "normals": torch.stack([torch.full(size, 0.6), torch.zeros(size), torch.full(size, 0.8)]),
        "boxes": torch.tensor([box]),
        "points": torch.tensor([[centre[0], centre[1], 1.0]]),
    }
    return Sample(image, fields)


def changed(options, row, seed):
    torch.manual_seed(seed)
    return ImageAugmentation(AugmentOptions(**options), PIXELS, SPECS, (48, 48))(row)


def centre_of(weights):
    y, x = torch.meshgrid(torch.arange(weights.shape[0]) + 0.5, torch.arange(weights.shape[1]) + 0.5, indexing="ij")
    return torch.stack([(weights * x).sum(), (weights * y).sum()]) / weights.sum()


@pytest.mark.parametrize("options", GEOMETRY.values(), ids=GEOMETRY.keys())
@pytest.mark.parametrize("seed", range(6))
def test_image_and_labels_move_alike(options, seed):
    found = changed(options, disc((25.0, 21.0)), seed)
    image = found.inputs[0]
    if image.sum() < 60:  # cropped away
        return
    bright, marked = image > 0.5, found.fields["mask"] == 2
    assert image.shape == found.fields["mask"].shape
    assert (bright != marked).sum() <= 0.15 * bright.sum() + 12, "the border differs by half a pixel at most"
    border = torch.cat([bright[0], bright[-1], bright[:, 0], bright[:, -1]])
    assert (found.fields["layers"][0].nan_to_num() == marked).all()
    depths = found.fields["depth"]
    near, far = depths[marked], depths[(found.fields["mask"] == 0)]
    torch.testing.assert_close(near.mean() * 2, far.mean(), msg="depth keeps its ratio")
    if border.any():
        return
    point, (box,) = found.fields["points"][0], found.fields["boxes"]
    torch.testing.assert_close(point[:2], centre_of(bright.float()), atol=0.6, rtol=0)
    torch.testing.assert_close((box[:2] + box[2:4]) / 2, point[:2], atol=0.05, rtol=0)
    rows, columns = bright.nonzero().T
    extent = torch.tensor([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], dtype=torch.float32)
    assert ((box[:4] - extent).abs() < 1.5).all(), "a disc that is turned is not larger"


def test_depth_is_divided_by_the_zoom():
    found = changed({"zoom": [2.0, 2.0]}, disc((25.0, 21.0)), 0)
    depths = found.fields["depth"]
    assert set(depths[~depths.isnan()].unique().tolist()) == {2.0, 4.0}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"flip": 1.0}, (-0.6, 0.0, 0.8)),
        ({"flip_vertical": 1.0}, (0.6, 0.0, 0.8)),
        ({"flip": 1.0, "flip_vertical": 1.0}, (-0.6, 0.0, 0.8)),
    ],
)
def test_normals_are_mirrored(options, expected):
    found = changed(options, disc((25.0, 21.0)), 0)
    torch.testing.assert_close(found.fields["normals"][:, 10, 10], torch.tensor(expected))


@pytest.mark.parametrize("seed", range(4))
def test_normals_turn_as_the_direction_between_two_places(seed):
    first, second = disc((20.0, 24.0), (48, 48), 3.0), disc((28.0, 24.0), (48, 48), 3.0)
    options = {"rotate": 170.0, "crop": 48, "quarter_turns": True}
    one, two = (changed(options, row, seed) for row in (first, second))
    direction = (two.fields["points"][0, :2] - one.fields["points"][0, :2]) / 8.0
    normals = one.fields["normals"]
    seen = normals[:, ~normals[0].isnan()]
    torch.testing.assert_close(seen[:2].mean(dim=1), 0.6 * direction, atol=1e-3, rtol=0)
    torch.testing.assert_close(seen.norm(dim=0), torch.ones(seen.shape[1]), atol=1e-5, rtol=0)


def test_turning_is_clockwise_with_y_down():
    right = torch.tensor([1.0, 0.0, 0.0]).reshape(3, 1, 1)
    torch.testing.assert_close(rotated(right, 90.0).flatten(), torch.tensor([0.0, 1.0, 0.0]), atol=1e-6, rtol=0)


def test_a_box_is_cut_at_the_border_and_dropped_where_hardly_anything_is_left():
    boxes = torch.tensor([
        [-6.0, 10.0, 6.0, 20.0], [-16.0, 10.0, 4.0, 20.0], [-37.0, 10.0, 3.0, 20.0],
        [30.0, 23.5, 36.0, 33.5], [46.5, -1.0, 50.0, 4.0], [50.0, 10.0, 60.0, 20.0], [8.0, 8.0, 9.0, 9.0],
    ])  # fmt: skip
    found = kept_boxes(boxes, torch.arange(7.0), (24, 48))
    assert found.tolist() == [
        [0.0, 10.0, 6.0, 20.0, 0.0], [0.0, 10.0, 4.0, 20.0, 1.0], [8.0, 8.0, 9.0, 9.0, 6.0],
    ], "those with a tenth of their area and 2 pixels to either side are kept; a small one was not cut"  # fmt: skip


@pytest.mark.parametrize("options", [{"rotate": 40.0, "zoom": [0.8, 1.2]}, {"rotate": 20.0, "shear": 15.0}])
@pytest.mark.parametrize("seed", range(3))
def test_the_box_of_an_ellipse_is_as_large_as_the_moved_ellipse(options, seed):
    y, x = torch.meshgrid(torch.arange(96) + 0.5, torch.arange(96) + 0.5, indexing="ij")
    inside = ((x - 50) / 24) ** 2 + ((y - 46) / 8) ** 2 < 1
    row = Sample((inside * 255).to(torch.uint8)[None], {"boxes": torch.tensor([[26.0, 38.0, 74.0, 54.0, 0.0]])})
    torch.manual_seed(seed)
    found = ImageAugmentation(AugmentOptions(**options), PIXELS, {"boxes": SPECS["boxes"]}, (96, 96))(row)
    rows, columns = (found.inputs[0] > 0.5).nonzero().T
    extent = torch.tensor([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], dtype=torch.float32)
    torch.testing.assert_close(found.fields["boxes"][0, :4], extent, atol=1.5, rtol=0)


def test_the_turn_that_a_task_predicts_is_the_turn_of_the_image():
    row = disc((12.0, 12.0), (48, 48))
    plain = row.inputs[0].float() / 255
    turns = set()
    for seed in range(12):
        found = changed({"rotation": True}, row, seed)
        turn = int(found.fields["turn"])
        turns.add(turn)
        torch.testing.assert_close(found.inputs[0], torch.from_numpy(np.rot90(plain.numpy(), -turn).copy()))
    assert turns == {0, 1, 2, 3}


@pytest.mark.parametrize("options", [{"brightness": 0.5}, {"contrast": 0.5}, {"noise": 0.1}, {"erase": 1.0}])
def test_colours_change_and_labels_stay(options):
    row = disc((25.0, 21.0))
    row = Sample(row.inputs // 2 + 40, row.fields)
    found = [changed(options, row, seed) for seed in range(5)]
    assert max(float((each.inputs - row.inputs.float() / 255).abs().max()) for each in found) > 0.02
    for name, field in row.fields.items():
        torch.testing.assert_close(found[0].fields[name], field)


def test_pixels_are_scaled_after_the_change():
    augmentation = ImageAugmentation(AugmentOptions(flip=0.5), Pixels(1, (0.25,), (0.5,)), {}, (4, 4))
    found = augmentation(Sample(torch.full((1, 4, 4), 255, dtype=torch.uint8), {}))
    torch.testing.assert_close(found.inputs, torch.full((1, 4, 4), 1.5))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"crop": [3]}, r"crop is \(3,\)"),
        ({"crop": 0}, "crop is 0"),
        ({"zoom": [2.0, 1.0]}, "zoom is"),
        ({"crop": [10, 12], "rotation": True}, "quarter turns need square windows"),
        ({"flip": 2.0}, "flip is 2.0"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, said):
    with pytest.raises(UserError, match=said):
        AugmentOptions(**options)


def test_normals_cannot_be_sheared():
    with pytest.raises(UserError, match="normals cannot be sheared"):
        ImageAugmentation(AugmentOptions(shear=5.0), PIXELS, SPECS, (48, 48))


@pytest.mark.parametrize("options", [{"rotation": True}, {"quarter_turns": True}])
def test_images_that_are_not_square_cannot_be_turned(options):
    with pytest.raises(UserError, match=r"Training images are 56×48; quarter turns need square ones.*crop=48"):
        ImageAugmentation(AugmentOptions(**options), PIXELS, SPECS, (48, 56))


def test_an_image_as_a_target_moves_and_changes_colour_with_the_input_but_has_no_noise_and_no_hole():
    options = AugmentOptions(flip=0.5, brightness=0.4, shift=0.1, noise=0.2, erase=1.0)
    quiet = AugmentOptions(flip=0.5, brightness=0.4, shift=0.1)
    specs = {"clean": FieldSpec("image", shape=(1, 48, 56))}
    row = disc((20.0, 15.0))
    for seed in range(4):
        found = []
        for each in (options, quiet):
            torch.manual_seed(seed)
            found.append(ImageAugmentation(each, PIXELS, specs, (48, 56))(row))
        assert torch.equal(found[0].fields["clean"], found[1].inputs)
        assert torch.equal(found[1].fields["clean"], found[1].inputs)
        noise = found[0].inputs - found[0].fields["clean"]
        kept = found[0].inputs != 0.0
        assert 0.15 < noise[kept].std() < 0.25
        assert not kept.all()
