import numpy as np
import torch
from torch.nn import functional as F

from mtl_cli.tasks.predictions_base import Predictions
from tests.tasks._inputs import make


def test_the_loss_is_the_mean_over_known_entries_of_the_enlarged_outputs():
    outputs, target = torch.randn(2, 3, 4, 5), torch.randint(2, (2, 3, 8, 10)).float()
    target[0, 1, :3] = torch.nan
    chance = F.interpolate(outputs, (8, 10), mode="bilinear", align_corners=False).sigmoid()
    losses = -torch.where(target == 1, chance.log(), (1 - chance).log())[~target.isnan()]
    torch.testing.assert_close(make("multilabel_segmentation").loss(outputs, target), losses.mean())


def test_the_trivial_predictor_says_how_often_a_pixel_is_covered():
    target = torch.zeros(4, 3, 5, 5)
    target[:, 1], target[:2, 2] = 1.0, torch.nan
    task = make("multilabel_segmentation")
    chance = task.trivial_outputs(task.summarise(target)).sigmoid()
    torch.testing.assert_close(chance, torch.tensor([0.0, 1.0, 0.0]), atol=1e-5, rtol=0)


def test_each_class_is_an_image_in_a_folder_of_the_row():
    outputs = torch.tensor([1.0, -1.0, 1.0]).reshape(1, 3, 1, 1).expand(1, 3, 4, 4)
    predictions = Predictions(["a"], size=(6, 6))
    make("multilabel_segmentation").write(outputs, predictions)
    assert {path: int(mask.min()) for path, mask in predictions.files.items()} == {
        "t/a/0.png": 255, "t/a/1.png": 0, "t/a/2.png": 255,
    }  # fmt: skip
    assert all(mask.shape == (6, 6) and mask.dtype == np.uint8 for mask in predictions.files.values())
    assert predictions.columns["t_share_b"].tolist() == [0.0]
