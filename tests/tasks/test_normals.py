import numpy as np
import torch
from torch.nn import functional as F

from mtl_cli.tasks.predictions_base import Predictions
from tests.tasks._inputs import make, targets


def test_the_loss_is_one_minus_the_cosine_over_known_pixels():
    outputs, target = torch.randn(40, 3, 4, 5), targets("normals")
    target[0, :, 1] = torch.nan
    cosine = F.cosine_similarity(outputs, target, dim=1)
    torch.testing.assert_close(make("normals").loss(outputs, target), 1 - cosine[~cosine.isnan()].mean())


def test_a_pixel_is_one_label():
    target = targets("normals", 2)
    target[0, 1, 0, 0] = torch.nan
    assert make("normals").labelled_entries(target) == 2 * 20 - 1


def test_the_trivial_predictor_is_the_mean_direction():
    target = targets("normals", 300)
    task = make("normals")
    wanted = F.normalize(target.double().mean(dim=(0, 2, 3)), dim=0).float()
    torch.testing.assert_close(task.trivial_outputs(task.summarise(target)), wanted)


def test_written_vectors_have_unit_length_at_the_size_of_the_input():
    predictions, outputs = Predictions(["a"], size=(8, 10)), torch.randn(1, 3, 4, 5)
    make("normals").write(outputs, predictions)
    found = predictions.files["t/a.npy"]
    assert (found.dtype, found.shape) == (np.float32, (3, 8, 10))
    assert np.allclose(np.linalg.norm(found, axis=0), 1.0, atol=1e-5)
    assert not predictions.columns
