import pytest
import torch

from mtl_cli.batch import pad_sets
from mtl_cli.metrics.object_counts import CountError, RelativeCountError


def test_hand_case():
    scores = torch.tensor([[0.9, 0.3, 0.2], [0.1, 0.0, 0.0], [0.5, 0.5, 0.5]])
    predictions = torch.zeros(3, 3, 6)
    predictions[..., 4] = scores
    target = pad_sets([torch.zeros(4, 5), torch.zeros(0, 5), torch.zeros(2, 5)], (5,))
    for cls, wanted in ((CountError, (2 + 0 + 1) / 3), (RelativeCountError, (2 / 4 + 0 + 1 / 2) / 3)):
        metric = cls(0.3)
        metric.update(predictions[:1], target[:1])
        metric.update(predictions[1:], target[1:])
        assert metric.compute().item() == pytest.approx(wanted)
