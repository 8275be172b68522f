"""Dense tasks from a user's folder: lazy masks, a U-Net with skips, a map head, label images as predictions."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mtl_cli import cli
from tests._thinned import thinned

FOLDER = Path(__file__).parents[1] / "own_folder"
MODES = {
    "hard": [],
    "mtan": [],
    "hierarchical": ["sharing.attach={height: enc3, shape: dec1}"],
    "cross_stitch": [],
    "mmoe": ["sharing.num_experts=2"],
}
COMMAND = [
    "--config-dir", "conf", "task=shape+height", "backbone=small_unet", "data.batch_size=8", "trainer.max_epochs=6",
    "optimizer.lr=0.01", "trainer.threads=1", "trainer.device=cpu", "trainer.precision=fp32", "trainer.log_every=4",
    "quiet=true", "hydra.run.dir=run",
]  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch):
    shutil.copytree(FOLDER, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    sys.modules.pop("dense_parts", None)


def trained(mode, *more):
    """Return the mean loss of the first four steps, and the metrics on test scenes."""
    assert cli.main([*COMMAND, f"sharing={mode}", *MODES[mode], *more]) == 0
    first = json.loads(Path("run/metrics.jsonl").read_text().splitlines()[0])["losses"]
    return first, json.loads(Path("run/summary.json").read_text())["test"]


def learnt(first, test):
    """Whether the loss of the shapes fell to a fifth, that of the heights to 0.7, and the shapes are found."""
    fell = all(test[f"{task}/loss"] < share * first[task] for task, share in (("shape", 0.2), ("height", 0.7)))
    return fell and test["shape/miou"] > 0.8


@pytest.mark.parametrize("mode", thinned(MODES, ["hard"]))
def test_dense_tasks_learn_under_every_kind_of_sharing(folder, mode):
    first, test = trained(mode)
    assert learnt(first, test), (first, test)


@pytest.mark.parametrize("mode", ["hard", *(pytest.param(m, marks=pytest.mark.slow) for m in MODES if m != "hard")])
def test_dense_tasks_with_shuffled_masks_do_not_learn(folder, mode):
    first, test = trained(mode, "tasks.shape.dataset.shuffled=true", "tasks.height.dataset.shuffled=true")
    assert not learnt(first, test)
    assert test["shape/miou"] < 0.4


@pytest.mark.slow
def test_label_images_are_predicted_and_agree_with_the_scenes(folder):
    trained("hard")
    import dense_parts

    scenes = dense_parts.DrawnScenes(12, 5, shuffled=False)
    rows = scenes.__getitems__(torch.arange(12))
    np.save("new.npy", rows.inputs.numpy())
    words = ["checkpoint=run", "input=new.npy", "output=out", "--config-dir", "conf"]
    assert cli.main_predict(words) == 0
    names = [f"scene_{k:03}" for k in range(12)]
    assert sorted(path.stem for path in Path("out/shape").glob("*.png")) == names
    found = np.stack([np.asarray(Image.open(f"out/shape/{name}.png")) for name in names])
    assert found.dtype == np.uint8
    truth = scenes.masks(torch.arange(12)).numpy()
    assert (found == truth).mean() > 0.9
    assert np.load("out/height/scene_003.npy").shape == (32, 32)
    table = Path("out/table.csv").read_text().splitlines()
    assert table[0] == "row,shape_disc,shape_square"
    assert [line.split(",")[0] for line in table[1:]] == names
    assert float(table[1].split(",")[2]) == pytest.approx((found[0] == 2).mean(), abs=1e-6)
    assert cli.main_predict(words) == 2, "the folder is not written over"
    assert not list(Path().glob(".out*"))


@pytest.mark.slow
def test_a_dense_run_resumes_to_the_same_bytes(folder):
    trained("mtan", "save.every=7", "save.keep=20", "trainer.max_epochs=2", "data.workers=1")
    whole = Path("run/metrics.jsonl").read_bytes()
    words = ["resume=run/checkpoints/step_00000021.pt", "--config-dir", "conf", "quiet=true"]
    assert cli.main(words) == 0
    assert Path("run/metrics.jsonl").read_bytes() == whole
