import math

import pytest
import torch

from mtl_cli.metrics.keypoints import CorrectKeypoints, KeypointError, VisibleKeypoints

NAN = math.nan
TRUE = torch.tensor([
    [[0.0, 0.0, 1.0], [30.0, 40.0, 1.0], [NAN, NAN, 0.0]],  # a diagonal of 50
    [[5.0, 5.0, 1.0], [NAN, NAN, 0.0], [NAN, NAN, NAN]],  # one visible point has no box
    [[NAN, NAN, NAN]] * 3,
])  # fmt: skip
FOUND = torch.tensor([
    [[3.0, 4.0, 0.9], [30.0, 50.0, 0.2], [9.0, 9.0, 0.1]],
    [[0.0, 0.0, 0.9], [1.0, 1.0, 0.9], [1.0, 1.0, 0.9]],
    [[1.0, 1.0, 0.9]] * 3,
])  # fmt: skip


@pytest.mark.parametrize(
    ("metric", "wanted"),
    [(KeypointError(), (5 / 50 + 10 / 50) / 2), (CorrectKeypoints(0.1), 1 / 2), (VisibleKeypoints(), 3 / 5)],
)
def test_hand_case(metric, wanted):
    for part in (slice(0, 1), slice(1, 3)):
        metric.update(FOUND[part], TRUE[part])
    assert metric.compute().item() == pytest.approx(wanted)


def test_without_a_label_there_is_no_value():
    for metric in (KeypointError(), CorrectKeypoints(0.1), VisibleKeypoints()):
        metric.update(FOUND[2:], TRUE[2:])
        assert math.isnan(metric.compute())
