import math

import pytest
import torch

from mtl_cli.batch import Sample, sets_of
from mtl_cli.commands.compose import hydra_session, plain_config
from mtl_cli.datasets.scenes import KINDS, MEAN, SPECS, STD, DrawnScenes, Scenes
from mtl_cli.errors import UserError
from mtl_cli.runs import run


@pytest.fixture(scope="module")
def source():
    return Scenes(64, 96, 8, 8, 0, 16)


@pytest.fixture(scope="module")
def rows(source):
    return source.split("train").__getitems__(torch.arange(96))


def test_a_scene_depends_on_the_seed_its_split_and_its_number_alone(source, rows):
    larger = Scenes(64, 200, 8, 8, 0, 16).split("train").__getitems__(torch.tensor([7, 3]))
    assert torch.equal(larger.inputs, rows.inputs[[7, 3]])
    others = [Scenes(64, 96, 8, 8, 1, 16).split("train"), source.split("val"), source.split("test")]
    first = [rows.inputs[0], *(split.__getitems__(torch.tensor([0])).inputs[0] for split in others)]
    assert all(not torch.equal(first[i], first[k]) for i in range(4) for k in range(i))


def test_labels_without_images_are_those_of_the_rows(source, rows):
    found = source.split("train").fields_of(torch.arange(96), tuple(SPECS))
    assert set(found) == set(SPECS) == set(rows.fields)
    assert all(torch.equal(found[name], rows.fields[name]) for name in SPECS)


def test_the_constants_of_normalisation_fit_the_training_scenes(rows):
    pixels = rows.inputs * torch.tensor(STD).reshape(3, 1, 1) + torch.tensor(MEAN).reshape(3, 1, 1)
    assert torch.equal((255 * pixels).round(), (255 * pixels).round().clamp(0, 255))
    assert rows.inputs.mean(dim=(0, 2, 3)).abs().max() < 0.15
    assert (rows.inputs.std(dim=(0, 2, 3)) - 1).abs().max() < 0.15


def test_fields_agree_with_each_other(rows):
    mask, instances, boxes = rows.fields["mask"], rows.fields["instances"], sets_of(rows.fields["boxes"])
    assert torch.equal(mask >= 2, instances > 0)
    for row in range(96):
        own = []
        for number in instances[row].unique().tolist():
            places = (instances[row] == number).nonzero()
            if number and len(places) >= 64 * 64 / 256:
                (top, left), (bottom, right) = places.amin(dim=0).tolist(), (places.amax(dim=0) + 1).tolist()
                (kind,) = (mask[row][instances[row] == number] - 2).unique().tolist()
                nearest = rows.fields["depth"][row][instances[row] == number].min().item()
                own.append((nearest, [left, top, right, bottom, kind]))
        assert sorted(box for _, box in own) == sorted(boxes[row].tolist())
        assert rows.fields["count"][row] == len(own)
        assert rows.fields["nearest"][row] == min(own)[1][4]
    assert (rows.fields["normals"].norm(dim=1) - 1).abs().max() < 1e-4


def test_a_visible_point_lies_on_a_solid_of_its_kind(rows):
    points, mask = rows.fields["points"], rows.fields["mask"]
    seen = 0
    for row in range(96):
        for kind in range(len(KINDS)):
            x, y, visible = points[row, kind].tolist()
            if visible:
                assert mask[row, math.floor(y), math.floor(x)] == kind + 2
                seen += 1
    assert seen > 100


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ((8, 4, 4, 4), "size is 8; scenes have at least 16 pixels to a side. Use size=64."),
        ((64, 4, 0, 4), "num_val is 0; each split needs a scene. Use num_val=200."),
    ],
)
def test_numbers_that_are_too_small_are_refused(numbers, said):
    with pytest.raises(UserError, match=said.replace(".", r"\.")):
        Scenes(*numbers, 0, 4)


TASKS = ("segmentation", "depth", "normals", "detection", "keypoints")


class OthersLabels(DrawnScenes):
    """Scenes whose labels are those of others."""

    def __getitems__(self, indices):
        return Sample(super().__getitems__(indices).inputs, self.fields_of(indices, tuple(SPECS)))

    def fields_of(self, indices, names):
        return super().fields_of((indices + 17) % len(self), names)


def trained(folder):
    sizes = ("size=48", "num_train=1000", "num_val=32", "num_test=64")
    with hydra_session() as session:
        config = plain_config(
            session.compose(
                [
                    "task=" + "+".join(f"scenes_{task}" for task in TASKS),
                    *[f"tasks.scenes_{task}.dataset.{size}" for task in TASKS for size in sizes],
                    "backbone=unet",
                    "backbone.channels=[16,32,64,96]",
                    "trainer.max_steps=150",
                    "optimizer.lr=0.003",
                    "data.batch_size=16",
                ]
            )
        )
    return run.train(config, folder, [])["test"]


def learnt(metrics):
    return {
        "segmentation": metrics["scenes_segmentation/miou"] > 0.6,
        "depth": metrics["scenes_depth/rel_err"] < 0.18,
        "normals": metrics["scenes_normals/angle_median"] < 16,
        "detection": metrics["scenes_detection/map50"] > 0.3,
        "keypoints": metrics["scenes_keypoints/error"] < 0.5,
    }


@pytest.mark.slow
def test_dense_kinds_are_learnt_together_and_not_from_the_labels_of_other_scenes(tmp_path, monkeypatch):
    own = trained(tmp_path / "own")
    assert all(learnt(own).values()), own
    make = Scenes.split
    monkeypatch.setattr(
        Scenes,
        "split",
        lambda self, name: OthersLabels(make(self, name).world, self.size) if name == "train" else make(self, name),
    )
    others = trained(tmp_path / "others")
    assert not any(learnt(others).values()), others
