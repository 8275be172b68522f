import numpy as np
import pytest
import torch
from torch.nn import functional as F

from mtl_cli.batch import FieldSpec
from mtl_cli.tasks.predictions_base import Predictions
from mtl_cli.training.meters import Meter
from tests.tasks._inputs import make


def enlarged(outputs, size):
    return F.interpolate(outputs, size, mode="bilinear", align_corners=False)


def test_the_loss_is_the_mean_over_labelled_pixels_of_the_enlarged_outputs():
    outputs, target = torch.randn(2, 3, 4, 5), torch.randint(3, (2, 8, 10))
    target[0, :3] = -100
    log = enlarged(outputs, (8, 10)).log_softmax(dim=1)
    weights = [1.0, 0.5, 3.0]
    known = [(b, y, x) for b in range(2) for y in range(8) for x in range(10) if target[b, y, x] != -100]
    for given in (None, weights):
        losses = [-log[b, target[b, y, x], y, x] * (given or [1] * 3)[target[b, y, x]] for b, y, x in known]
        wanted = torch.stack(losses).mean()
        torch.testing.assert_close(make("segmentation", class_weights=given).loss(outputs, target), wanted)


def test_metrics_are_measured_at_the_size_of_the_label():
    task, outputs, target = make("segmentation"), torch.randn(2, 3, 4, 5), torch.randint(3, (2, 8, 10))
    meter = Meter(task, torch.device("cpu"))
    meter.update(outputs, target, target.numel())
    right = enlarged(outputs, (8, 10)).argmax(dim=1) == target
    assert meter.result().metrics["pixel_accuracy"] == pytest.approx(right.float().mean().item())
    assert meter.result().confusion.sum() == target.numel()


class TopLeft:
    """An image of 6 × 4 pixels in the corner of the input, whose file is twice as large."""

    def map_back(self, values):
        return F.interpolate(values[None, :, :6, :4], (12, 8), mode="bilinear", align_corners=False)[0]


def test_label_images_have_the_size_of_the_file_or_else_of_the_input():
    task, outputs = make("segmentation"), torch.randn(2, 3, 4, 5)
    whole = enlarged(outputs, (8, 10))
    predictions = Predictions(["a", "sub/b"], size=(8, 10))
    task.write(outputs, predictions)
    assert list(predictions.files) == ["t/a.png", "t/sub/b.png"]
    assert predictions.files["t/a.png"].dtype == np.uint8
    assert np.array_equal(predictions.files["t/a.png"], whole[0].argmax(dim=0).numpy())
    assert predictions.columns["t_share_disc"][1] == pytest.approx((whole[1].argmax(dim=0) == 1).float().mean().item())

    framed = Predictions(["a", "b"], size=(8, 10), frames=[TopLeft(), TopLeft()])
    task.write(outputs, framed)
    assert np.array_equal(framed.files["t/b.png"], TopLeft().map_back(whole[1]).argmax(dim=0).numpy())


def test_more_than_256_classes_are_written_with_16_bits():
    task = make("segmentation", field=FieldSpec("mask", 300))
    outputs = torch.zeros(300, 2, 2)
    outputs[299] = 1.0
    assert task.files(outputs)[".png"].dtype == np.uint16
    assert task.files(outputs)[".png"].tolist() == [[299, 299], [299, 299]]


def test_columns_without_rows_are_the_same_columns():
    predictions = Predictions(["a"], size=(8, 10))
    make("segmentation").write(torch.randn(1, 3, 4, 5), predictions)
    none = make("segmentation").columns_of_no_rows()
    assert list(none) == list(predictions.columns) == ["t_share_ground", "t_share_disc", "t_share_square"]
    assert all(len(values) == 0 for values in none.values())


def test_class_weights_balanced_are_by_pixels():
    task = make("segmentation", class_weights="balanced")
    torch.testing.assert_close(task.class_weights, torch.tensor([800 / (3 * n) for n in (500, 100, 200)]))


def test_a_head_of_another_kind_is_refused_with_one_that_fits():
    from mtl_cli.heads.mlp import MLPHead

    with pytest.raises(ValueError, match=r"needs a map. Use .* or tasks.t.head._target_=mtl_cli.heads.map.MapHead"):
        make("segmentation", head=MLPHead())
