import math

import pytest
import torch
from sklearn.metrics import r2_score

from mtl_cli.metrics.columns import R2, ColumnMAE, ColumnRMSE


def measured(metric, predictions, target, size=3):
    for part, truth in zip(predictions.split(size), target.split(size), strict=True):
        metric.update(part, truth)
    return float(metric.compute())


def test_columns_are_averaged_over_their_own_labels():
    """Column 0: errors 1, 1, 2 of 3 labels, MAE 4/3; column 1: error 4 of 1 label; mean 8/3."""
    predictions = torch.tensor([[1.0, 5.0], [2.0, 0.0], [3.0, 4.0]])
    target = torch.tensor([[0.0, torch.nan], [1.0, torch.nan], [5.0, 0.0]])
    assert measured(ColumnMAE(2), predictions, target) == pytest.approx(8 / 3)
    rmse = measured(ColumnRMSE(2), predictions, target, size=1)
    assert rmse == pytest.approx((math.sqrt(6 / 3) + 4) / 2)


def test_a_column_without_labels_is_left_out_and_none_at_all_gives_nan():
    predictions, target = torch.ones(4, 2), torch.full((4, 2), torch.nan)
    assert math.isnan(measured(ColumnMAE(2), predictions, target))
    assert math.isnan(measured(R2(torch.zeros(2)), predictions, target))
    target[:, 0] = 3.0
    assert measured(ColumnMAE(2), predictions, target) == 2.0


def test_r2_equals_scikit_learn_and_leaves_out_missing_entries():
    target, predictions = torch.randn(40, 2), torch.randn(40, 2)
    assert measured(R2(torch.zeros(2)), predictions, target) == pytest.approx(r2_score(target, predictions), abs=1e-6)
    holes = target.clone()
    holes[::3, 1] = torch.nan
    kept = ~torch.isnan(holes[:, 1])
    parts = [r2_score(target[:, 0], predictions[:, 0]), r2_score(target[kept, 1], predictions[kept, 1])]
    assert measured(R2(torch.zeros(2)), predictions, holes) == pytest.approx(sum(parts) / 2, abs=1e-6)


def test_r2_of_a_large_mean_is_not_lost_to_cancellation():
    years = 2000.0 + torch.randn(5000, 1)
    assert measured(R2(torch.zeros(1)), years + 0.5 * torch.randn(5000, 1), years, 100) == pytest.approx(0.75, abs=0.03)


def test_r2_of_a_target_far_from_0_is_that_of_the_deviations():
    """Times in milliseconds, 1.6e12 ± 3e4: their squares alone need 25 digits."""
    deviations, errors = 3e4 * torch.randn(200, 1).double(), 1e4 * torch.randn(200, 1).double()
    times, centre = 1.6e12 + deviations, torch.tensor([1.6e12 - 5e3], dtype=torch.float64)
    wanted = r2_score(deviations, deviations + errors)
    assert measured(R2(centre), times + errors, times) == pytest.approx(wanted, abs=1e-6)
    assert math.isnan(measured(R2(centre), times, torch.full_like(times, 1.6e12)))


def test_r2_of_equal_labels_is_not_defined_and_what_is_not_a_number_stays_seen():
    assert math.isnan(measured(R2(torch.zeros(1)), torch.randn(4, 1), torch.ones(4, 1)))
    assert math.isnan(measured(R2(torch.zeros(1)), torch.full((4, 1), torch.nan), torch.randn(4, 1)))


def test_errors_of_a_large_mean_and_a_huge_row_are_those_of_numpy():
    """In float32 sums, a row of 1e8 would swallow the errors of 0.5 that come after it."""
    target = 2000.0 + torch.arange(3000.0)[:, None] % 10
    predictions = target + 0.5
    predictions[0] = 1e8
    wanted = (predictions.double() - target.double()).numpy()
    assert measured(ColumnMAE(1), predictions, target, 7) == pytest.approx(abs(wanted).mean(), rel=1e-12)
    assert measured(ColumnRMSE(1), predictions, target, 7) == pytest.approx((wanted**2).mean() ** 0.5, rel=1e-12)


def test_a_number_that_was_not_predicted_is_seen_in_the_errors_too():
    predictions, target = torch.tensor([[torch.nan], [1.0]]), torch.tensor([[2.0], [1.0]])
    assert math.isnan(measured(ColumnMAE(1), predictions, target, 1))
    assert measured(ColumnMAE(1), predictions, torch.tensor([[torch.nan], [1.5]]), 1) == 0.5


@pytest.mark.parametrize("metric", [ColumnMAE, ColumnRMSE])
def test_an_update_waits_for_no_device(metric):
    """On the meta device, a value that is read is an error; a device without float64 takes float32."""
    on_meta = metric(2).to("meta")
    on_meta.update(torch.zeros(3, 2, device="meta"), torch.zeros(3, 2, device="meta"))
    assert on_meta.total.is_meta
    small = metric(2).to(device="cpu", dtype=torch.float32)
    small.update(torch.ones(3, 2), torch.zeros(3, 2))
    assert small.total.dtype == torch.float32
    assert float(small.compute()) == 1.0
