"""The sheet of samples: what stands in it is what the model says of these rows, in the colours of the truth."""

import numpy as np
import pytest
import torch
from PIL import Image

from mtl_cli import cli
from mtl_cli.report.shown import class_colours, direction_colours, number_colours, spread
from mtl_cli.runs import samples
from tests.images._files import blob_set

SMALL = ["trainer.max_epochs=1", "trainer.device=cpu", "trainer.precision=fp32", "data.batch_size=4", "quiet=true"]


@pytest.mark.usefixtures("figures")
def test_an_evaluation_shows_truth_and_prediction_of_every_task(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blob_set(tmp_path / "set", count=14, sizes=((32, 40), (40, 32)))
    assert cli.main_init(["input=set/table.csv", "target=[instances,kind]", "output=conf"]) == 0
    command = ["--config-dir", "conf", "task=instances+kind", "backbone=unet", "backbone.channels=[4,8]"]
    assert cli.main([*command, *SMALL, "hydra.run.dir=run"]) == 0
    sheets = []
    monkeypatch.setattr(samples, "draw_samples", lambda *arguments: sheets.append(arguments))
    assert cli.main_eval(["checkpoint=run", "split=train", "quiet=true"]) == 0
    ((path, tasks, strips, title),) = sheets
    assert (path.name, tasks, title) == ("samples.png", ["instances", "kind"], "train")
    assert len(strips) == samples.ROWS
    for strip in strips:
        (truth, predicted), (word, said) = strip.cells
        height, width = strip.image.shape[:2]
        assert {height, width} == {32, 40}
        assert truth.pixels.shape == predicted.pixels.shape == (height, width, 3)
        bright = strip.image.mean(axis=2)
        inside = truth.pixels.sum(axis=2) > 0
        assert bright[inside].mean() > bright[~inside].mean() + 0.2, "the truth lies where the blobs are"
        assert word.text in ("many", "few")
        assert said.text in ("many", "few")
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert cli.main_eval(["checkpoint=run", "quiet=true"]) == 0
    (drawn,) = (tmp_path / "run/evaluations").rglob("samples.png")
    assert np.asarray(Image.open(drawn)).std() > 10


def test_colours_say_what_is_missing():
    classes = np.array([[0, 1], [2, -100]])
    found = class_colours(classes, 3)
    assert found[0, 0].tolist() == [0, 0, 0]
    assert len({tuple(each) for each in found.reshape(-1, 3).tolist()}) == 4
    numbers = np.array([[1.0, 5.0], [9.0, np.nan]])
    coloured = number_colours(numbers, spread(numbers))
    assert coloured[1, 1].tolist() == found[1, 1].tolist()
    assert coloured[0, 0].sum() < coloured[0, 1].sum() < coloured[1, 0].sum()
    normals = np.zeros((3, 1, 2))
    normals[2, 0, 0], normals[:, 0, 1] = 1.0, np.nan
    assert direction_colours(normals)[0, 0].tolist() == [0.5, 0.5, 1.0]
    assert direction_colours(normals)[0, 1].tolist() == found[1, 1].tolist()


def test_grey_and_many_channels_are_shown():
    assert samples.picture_of(torch.rand(1, 4, 5)).shape == (4, 5, 3)
    assert samples.picture_of(torch.rand(7, 4, 5)).shape == (4, 5, 3)
    assert samples.picture_of(torch.zeros(3, 2, 2)).max() == 0
