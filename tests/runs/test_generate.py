"""Runs that learn to reproduce their images beside other tasks, and make up new ones."""

import numpy as np
import pytest
from PIL import Image

from mtl_cli import cli
from mtl_cli.runs import run
from mtl_cli.runs.generate import sheet
from mtl_cli.runs.predict import predict
from tests import _toy
from tests._resuming import assert_same_run, die_at

SHAPE = {"hidden": [16, 8], "norm": "group", "activation": "relu", "init": "default"}
PLAIN = {
    "_target_": "mtl_cli.tasks.reconstruction.Reconstruction",
    "head": {"_target_": "mtl_cli.heads.image.ImageHead", **SHAPE},
}
VARIATIONAL = {
    "_target_": "mtl_cli.tasks.variational_reconstruction.VariationalReconstruction", "beta": 0.1,
    "head": {"_target_": "mtl_cli.heads.variational.VariationalHead", "latent": 4, **SHAPE},
}  # fmt: skip


def config(steps=30, **changes):
    dataset = {"_target_": "mtl_cli.datasets.mnist_digits.MnistDigits", "source": "packaged", "root": None}
    node = {"target": "image", "weight": 1.0, "dataset": {**dataset, "batch_size": 32}}
    tasks = {"plain": {**PLAIN, **node}, "random": {**VARIATIONAL, **node}}
    return _toy.config(tasks=tasks, trainer__max_steps=steps, optimizer__lr=0.01, **changes)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    path = tmp_path_factory.mktemp("rebuilt") / "run"
    return path, run.train(config(50), path, [])["test"]


def test_images_are_reproduced_better_than_by_a_colour(trained):
    _, test = trained
    trivial = 0.308  # standard deviation of the pixels of MNIST, where white is 1
    assert test["plain/rmse"] < 0.85 * trivial
    assert test["random/rmse"] < 0.9 * trivial


@pytest.mark.slow
def test_a_killed_run_resumes_to_the_same_bytes(tmp_path, monkeypatch):
    changes = {"save__every": 3}
    run.train(config(8, **changes), tmp_path / "whole", [])
    die_at(monkeypatch, 5, lambda: run.train(config(8, **changes), tmp_path / "parts", []))
    run.resume(tmp_path / "parts", {}, [])
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_predictions_are_images_of_the_size_of_the_input(trained, tmp_path):
    path, _ = trained
    pixels = np.random.default_rng(0).integers(0, 256, (28, 28)).astype(np.uint8)
    (tmp_path / "new").mkdir()
    Image.fromarray(pixels).save(tmp_path / "new" / "a.png")
    assert predict(path, tmp_path / "new", tmp_path / "out", {}) == 1
    for task in ("plain", "random"):
        found = np.asarray(Image.open(tmp_path / "out" / task / "a.png"))
        assert found.shape == (28, 28)
        assert found.dtype == np.uint8


def predicted(*arguments):
    return cli.main_predict([*map(str, arguments)])


def test_a_sheet_and_a_folder_hold_the_same_images_and_another_seed_gives_others(trained, tmp_path):
    path, _ = trained
    assert predicted(f"checkpoint={path}", "samples=5", f"output={tmp_path}/a.png") == 0
    assert predicted(f"checkpoint={path}", "samples=5", f"output={tmp_path}/all") == 0
    whole = np.asarray(Image.open(tmp_path / "a.png"))
    assert whole.shape == (2 * (84 + 2) - 2, 3 * (84 + 2) - 2)
    assert np.array_equal(whole, np.asarray(Image.open(tmp_path / "all" / "random.png")))
    images = [np.asarray(Image.open(tmp_path / "all" / "random" / f"{k}.png")) for k in range(1, 6)]
    assert not (tmp_path / "all" / "plain").exists()
    assert np.array_equal(whole[86::3, 86 : 86 + 84 : 3], images[4])
    assert len({image.tobytes() for image in images}) == 5
    assert predicted(f"checkpoint={path}", "samples=5", f"output={tmp_path}/a.png", "seed=3") == 0
    assert not np.array_equal(whole, np.asarray(Image.open(tmp_path / "a.png")))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["samples=0", "output=x.png"], "samples is 0; it is a whole number ≥ 1. Use samples=16."),
        (["samples=4", "tasks=[plain]", "output=x.png"], "and plain is none. Give input=PATH in its place."),
        (["samples=4", "input=.", "output=x.png"], "Leave one of them out."),
        (["output=x.png"], "mtl-predict needs input=."),
    ],
)
def test_what_cannot_be_made_up_is_refused(trained, words, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert predicted(f"checkpoint={trained[0]}", *words) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_sheet_is_read_row_by_row_with_colours():
    images = [np.full((70, 60, 3), 40 * k, np.uint8) for k in range(1, 4)]
    found = sheet(images)
    assert found.shape == (2 * 70 + 2, 2 * 60 + 2, 3)
    assert [int(found[top, left, 1]) for top, left in ((0, 0), (0, 62), (72, 0), (72, 62), (0, 60))] == [
        40, 80, 120, 255, 255,
    ]  # fmt: skip
