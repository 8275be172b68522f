"""The dense experiments on small arrays in the layout of the published ones, channels last."""

import numpy as np
import pytest
import torch

from mtl_cli.commands.compose import hydra_session, plain_config
from mtl_cli.config.interpolation import resolve
from mtl_cli.config.targets import Trust
from mtl_cli.runs import run
from mtl_cli.runs.build import build

SMALL = ("trainer.max_steps=2", "backbone.channels=[4,8]", "data.batch_size=2", "data.workers=0")
PARTS = {"nyuv2": (13, "label", (32, 48)), "cityscapes": (7, "label_7", (16, 32))}


def write(root, classes, label, size):
    stream = np.random.default_rng(0)
    for split, rows in (("train", 12), ("val", 4)):
        for folder in ("image", label, "depth", "normal"):
            (root / split / folder).mkdir(parents=True)
        for k in range(rows):
            labels = stream.integers(-1, classes, size).astype(np.float32)
            normals = stream.normal(size=(*size, 3)).astype(np.float32)
            normals /= np.linalg.norm(normals, axis=2, keepdims=True)
            normals[0] = 0.0
            depth = stream.uniform(0.5, 9.0, (*size, 1)).astype(np.float32)
            depth[1] = 0.0
            image = stream.uniform(size=(*size, 3)).astype(np.float32)
            for folder, values in (("image", image), (label, labels), ("depth", depth), ("normal", normals)):
                np.save(root / split / folder / f"{k}.npy", values)


@pytest.mark.parametrize("name", sorted(PARTS))
def test_an_experiment_runs_on_files_of_the_published_layout(tmp_path, name):
    write(tmp_path / "set", *PARTS[name])
    with hydra_session() as session:
        config = plain_config(session.compose([f"experiment={name}", f"data.root={tmp_path}/set", *SMALL]))
    summary = run.train(config, tmp_path / "run", [])
    assert {key.partition("/")[0] for key in summary["test"]} == set(config["tasks"])
    assert all(np.isfinite(value) for value in summary["test"].values())


def test_what_is_not_known_is_missing_and_the_official_validation_images_are_the_test_split(tmp_path):
    write(tmp_path / "set", *PARTS["nyuv2"])
    with hydra_session() as session:
        config = plain_config(session.compose(["experiment=nyuv2", f"data.root={tmp_path}/set", *SMALL]))
    source = next(iter(build(resolve(config), Trust()).data.sources.values()))
    assert [len(source.split(split)) for split in ("train", "val", "test")] == [11, 1, 4]
    sample = source.split("test").__getitems__(torch.tensor([2]))
    labels = np.load(tmp_path / "set/val/label/2.npy")
    assert np.array_equal(sample.fields["label"][0].numpy(), np.where(labels < 0, -100, labels))
    assert torch.isnan(sample.fields["normal"][0, :, 0]).all()
    assert torch.isnan(sample.fields["depth"][0, 1]).all()
    known = np.load(tmp_path / "set/val/depth/2.npy")[2:, :, 0]
    assert np.array_equal(sample.fields["depth"][0, 2:].numpy(), known)
