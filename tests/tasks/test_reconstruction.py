import numpy as np
import torch

from mtl_cli.batch import FieldSpec
from mtl_cli.features import FeatureSpec
from mtl_cli.heads.image import ImageHead
from mtl_cli.tasks.predictions_base import Predictions
from mtl_cli.tasks.reconstruction import Reconstruction

FIELD = FieldSpec("image", shape=(1, 2, 2), mean=(0.5,), std=(0.25,))


def make(field=FIELD):
    return Reconstruction("image", 1.0, ImageHead(), name="r", field=field)


def test_the_loss_is_the_mean_square_of_known_pixels():
    target = torch.tensor([[[[0.0, 1.0], [torch.nan, -1.0]]]])
    outputs = torch.tensor([[[[0.5, 1.0], [9.0, 1.0]]]])
    torch.testing.assert_close(make().loss(outputs, target), torch.tensor((0.25 + 0.0 + 4.0) / 3))


def test_metrics_are_in_shares_of_white():
    task = make()
    target, outputs = torch.tensor([[[[0.0, 1.0], [2.0, torch.nan]]]]), torch.tensor([[[[1.0, 1.0], [0.0, 5.0]]]])
    found = {}
    for name, metric in task.metrics().items():
        metric.update(task.predictions(outputs), task.references(target))
        found[name] = metric.compute().item()
    np.testing.assert_allclose(found["rmse"], (((0.25**2) + 0.5**2) / 3) ** 0.5, rtol=1e-6)
    np.testing.assert_allclose(found["mae"], (0.25 + 0.5) / 3, rtol=1e-6)


def test_files_are_pixels():
    predictions = Predictions(["a/one.jpg"])
    make().write(torch.tensor([[[[-2.0, 2.0], [0.0, 9.0]]]]), predictions)
    assert predictions.files["r/a/one.png"].tolist() == [[0, 255], [128, 255]]
    assert not predictions.columns
    arrays = Predictions(["0"])
    make(FieldSpec("image", shape=(2, 1, 1))).write(torch.tensor([[[[0.1]], [[7.0]]]]), arrays)
    np.testing.assert_allclose(arrays.files["r/0.npy"], [[[0.1]], [[7.0]]], rtol=1e-6)


def test_the_head_gets_to_know_the_size_of_images():
    head = make(FieldSpec("image", shape=(3, 9, 6))).build_head(FeatureSpec((4,)))
    assert head.decoder.sizes[-1] == (9, 6)
