"""The score from which boxes count is the one whose numbers of boxes are the best."""

import pytest
import torch

from mtl_cli.batch import FieldSpec
from mtl_cli.heads.centers import CenterHead
from mtl_cli.runs.calibration.counting import best_threshold
from mtl_cli.runs.calibration.storing import KEY, take_up, with_calibrations
from mtl_cli.tasks.calibration_base import Calibration
from mtl_cli.tasks.detection import DEFAULT_THRESHOLD, Detection

SCORES = torch.tensor([[0.9, 0.6, 0.3], [0.5, 0.42, 0.1], [0.4, 0.2, 0.05]])


def detection(**changes):
    field = FieldSpec("boxes", 2, ("a", "b"), (5,), varying=True)
    return Detection("boxes", 1.0, CenterHead(), **changes, name="t", field=field)


@pytest.mark.parametrize(
    ("numbers", "threshold"),
    [((2, 2, 0), 0.46), ((1, 0, 0), 0.69), ((3, 3, 3), 0.05), ((2, 2, 1), 0.34)],  # smoothed over 0.06 to either side
)
def test_the_threshold_counts_best(numbers, threshold):
    whole = [{"t": [(SCORES, torch.tensor(numbers))]}]
    apart = [{"t": [(SCORES[:1], torch.tensor(numbers[:1]))]}, {"t": [(SCORES[1:], torch.tensor(numbers[1:]))]}]
    assert best_threshold("t", whole) == pytest.approx(threshold)
    assert best_threshold("t", apart) == best_threshold("t", whole), "what several processes saw is one set"


def test_errors_are_relative_to_the_number_of_boxes():
    scores = torch.cat([torch.full((1, 20), 0.3), torch.cat([torch.full((1, 1), 0.5), torch.full((1, 19), 0.3)], 1)])
    few, many = torch.tensor([20, 1]), torch.tensor([20, 19])
    assert best_threshold("t", [{"t": [(scores, few)]}]) > 0.3, (
        "19 boxes too many of one are worse than 20 of 20 missed"
    )
    assert best_threshold("t", [{"t": [(scores, many)]}]) <= 0.3


def test_without_an_image_nothing_is_fitted():
    assert best_threshold("t", [{"t": []}, {"t": [(SCORES[:0], torch.zeros(0))]}]) == 0.0


def test_what_is_given_goes_before_what_was_fitted():
    task, told = detection(), detection(score_threshold=0.5)
    assert (task.threshold, told.threshold) == (DEFAULT_THRESHOLD, 0.5)
    state = with_calibrations({KEY: {"other": Calibration().state()}}, {"t": Calibration(thresholds=(0.25,))})
    assert set(state[KEY]) == {"other", "t"}
    take_up(state, {"t": task})
    take_up(state, {"t": told})
    assert (task.threshold, told.threshold) == (0.25, 0.5)
    assert task.metrics()["count_rel"].threshold == 0.25
