import numpy as np
import pytest
import torch

from mtl_cli.batch import FieldSpec
from mtl_cli.tasks.depth import DepthTotals
from mtl_cli.tasks.predictions_base import Predictions
from tests.tasks._inputs import make


def test_the_loss_is_the_absolute_error_of_known_pixels_in_standard_deviations():
    outputs, target = torch.randn(2, 1, 4, 5), 1 + torch.rand(2, 4, 5)
    target[0, 1] = torch.nan
    errors = (outputs[:, 0] * 1.5 + 4.0 - target).abs()
    torch.testing.assert_close(make("depth").loss(outputs, target), errors[~target.isnan()].mean() / 1.5)


def test_mean_deviation_and_median_are_those_of_all_known_training_pixels():
    target = 1000 + 50 * torch.randn(60, 7, 5)
    target[3], target[7, 2] = torch.nan, torch.nan
    summary = DepthTotals(FieldSpec("depth"))
    for part in target.split(11):
        summary.add(part)
    known = target[~target.isnan()].double()
    assert summary.spec().mean[0] == pytest.approx(known.mean().item())
    assert summary.spec().std[0] == pytest.approx(known.std(correction=0).item(), rel=1e-6)
    again = DepthTotals.of(FieldSpec("depth"), summary.state())
    assert again.spec() == summary.spec()
    task = make("depth", field=summary.spec())
    constant = task.predictions(task.repeated(task.trivial_outputs(again), target))
    torch.testing.assert_close(constant[0, 0, 0], known.median().float())


@pytest.mark.parametrize(("mean", "std", "step"), [(4.0, 1.5, 0.001), (2500.0, 900.0, 1.0), (0.3, 0.1, 1e-4)])
def test_depth_is_written_as_16_bits_with_its_scale(mean, std, step):
    task = make("depth", field=FieldSpec("depth", mean=(mean,), std=(std,)))
    outputs = torch.randn(1, 1, 4, 4)
    predictions = Predictions(["a"], size=(4, 4))
    task.write(outputs, predictions)
    image = predictions.files["t/a.png"]
    assert image.dtype == np.uint16
    assert np.abs(image * step - task.predictions(outputs)[0].clamp(min=0).numpy()).max() <= 0.5001 * step
    assert f"depth = value × {step:g}." in predictions.notes["t/README.txt"]
    assert predictions.columns["t_mean"][0] == pytest.approx(task.predictions(outputs).mean().item(), rel=1e-6)


def test_depth_is_written_as_arrays_where_that_is_asked_for():
    predictions, outputs = Predictions(["a"], size=(8, 8)), torch.randn(1, 1, 4, 4)
    make("depth", depth_format="npy").write(outputs, predictions)
    assert predictions.files["t/a.npy"].dtype == np.float32
    assert predictions.files["t/a.npy"].shape == (8, 8)
    assert not predictions.notes
    with pytest.raises(ValueError, match=r"depth_format is 'tif'; it is png or npy. Use tasks.t.depth_format=png"):
        make("depth", depth_format="tif")
