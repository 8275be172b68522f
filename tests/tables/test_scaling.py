import numpy as np
import pytest
import torch
from scipy.stats import norm, rankdata

from mtl_cli.tables.scaling import Scaler, fit_scaler, normal_quantiles


def matrix():
    stream = np.random.RandomState(0)
    values = stream.randn(200, 6) * [1, 10, 1e-3, 5, 1, 1] + [0, 1e6, 3, -4, 7, 0]
    values[stream.rand(200, 6) < 0.2] = np.nan
    values[:, 4] = 7.0  # constant
    values[:, 5] = np.nan  # nothing at all
    return values


COLUMNS, ROWS = np.array([1, 0, 3, 4, 5]), np.arange(0, 200, 2)


def test_mean_and_deviation_are_numpys_of_the_training_rows_alone():
    values = matrix()
    scaler = fit_scaler(values, COLUMNS, ROWS, "mean", 0.0, True, "standard")
    train = values[ROWS][:, COLUMNS[:3]]
    np.testing.assert_allclose(scaler.mean[:3], np.nanmean(train, axis=0), rtol=1e-12)
    np.testing.assert_allclose(scaler.std[:3], np.nanstd(train, axis=0), rtol=1e-9)
    assert scaler.mean[3:].tolist() == [7.0, 0.0]
    assert scaler.std[3:].tolist() == [1.0, 1.0]
    changed = values.copy()
    changed[1::2] *= 100
    again = fit_scaler(changed, COLUMNS, ROWS, "mean", 0.0, True, "standard")
    for one, other in zip(vars(scaler).values(), vars(again).values(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("impute", "fill"),
    [("zero", [0.0] * 5), ("constant", [-1.5] * 5), ("median", None), ("mean", None)],
)
def test_missing_numbers_are_filled_as_declared(impute, fill):
    values = matrix()
    scaler = fit_scaler(values, COLUMNS, ROWS, impute, -1.5, False, "none")
    if fill is None:
        wanted = np.nanmedian(values[ROWS][:, COLUMNS[:4]], axis=0) if impute == "median" else None
        wanted = np.nanmean(values[ROWS][:, COLUMNS[:4]], axis=0) if impute == "mean" else wanted
        fill = [*wanted, 0.0]
    out = scaler(values[:, COLUMNS])
    expected = np.where(np.isnan(values[:, COLUMNS]), fill, values[:, COLUMNS])
    np.testing.assert_allclose(out, expected.astype(np.float32), rtol=1e-6)


def test_marks_say_where_training_columns_were_missing():
    values = matrix()
    scaler = fit_scaler(values, COLUMNS, ROWS, "mean", 0.0, True, "standard")
    assert scaler.marked.tolist() == [0, 1, 2, 4]  # the constant column has no gap
    out = scaler(values[:, COLUMNS])
    assert out.shape == (200, 9)
    assert scaler.width == 9
    np.testing.assert_array_equal(out[:, 5:], np.isnan(values[:, COLUMNS])[:, [0, 1, 2, 4]])
    assert np.isfinite(out).all()


def test_large_offsets_keep_their_digits():
    values = 1e9 + np.arange(10.0)[:, None]
    out = fit_scaler(values, np.array([0]), np.arange(10), "mean", 0.0, False, "standard")(values)
    np.testing.assert_allclose(out[:, 0], (np.arange(10) - 4.5) / np.arange(10.0).std(), rtol=1e-6)


def test_quantile_scaling_is_the_place_of_a_normal_variable_at_the_same_rank():
    stream = np.random.RandomState(1)
    values = np.stack([np.exp(3 * stream.randn(400)), stream.randint(0, 3, 400), np.full(400, 2.0)], axis=1)
    out = fit_scaler(values, np.arange(3), np.arange(400), "mean", 0.0, False, "quantile")(values)
    ranks = (rankdata(values, axis=0) - 0.5) / 400
    np.testing.assert_allclose(out, norm.ppf(ranks), atol=0.01)


def test_quantile_scaling_is_fitted_on_training_rows_and_holds_beyond_them():
    values = np.arange(100.0)[:, None]
    scaler = fit_scaler(values, np.array([0]), np.arange(50), "mean", 0.0, True, "quantile")
    out = scaler(np.array([[-1e9], [0.0], [24.5], [49.0], [1e9], [np.nan]]))[:, 0]
    edge = norm.ppf(0.5 / 50)
    np.testing.assert_allclose(out, [edge, edge, 0.0, -edge, -edge, 0.0], atol=1e-6)
    values[50:] = 7e7
    np.testing.assert_array_equal(
        fit_scaler(values, np.array([0]), np.arange(50), "mean", 0.0, True, "quantile").knots, scaler.knots
    )


@pytest.mark.parametrize(
    ("knots", "message"),
    [
        (torch.zeros(2, 9), "knots are of shape"),
        (torch.zeros(5, 1), "fewer than 2"),
        (torch.zeros(5, 9, dtype=torch.int64), "knots are of shape"),
        (torch.tensor([[1.0, 0.0]] * 5), "do not ascend"),
        (torch.full((5, 2), torch.nan), "do not ascend"),
        ([0.0], "knots are"),
    ],
)
def test_knots_of_a_checkpoint_that_are_no_quantiles_are_refused(knots, message):
    state = fit_scaler(matrix(), COLUMNS, ROWS, "mean", 0.0, True, "standard").state()
    with pytest.raises(ValueError, match=message):
        Scaler.of({**state, "knots": knots}, len(COLUMNS))


@pytest.mark.parametrize("scale", ["standard", "quantile", "none"])
def test_a_scaler_comes_back_from_its_state(scale):
    values = matrix()
    scaler = fit_scaler(values, COLUMNS, ROWS, "median", 0.0, True, scale)
    np.testing.assert_array_equal(
        Scaler.of(scaler.state(), len(COLUMNS))(values[:, COLUMNS]), scaler(values[:, COLUMNS])
    )


def test_normal_quantiles_are_those_of_torch():
    shares = np.concatenate([np.linspace(1e-9, 1 - 1e-9, 10_001), 10.0 ** -np.arange(3, 11)])
    expected = torch.special.ndtri(torch.from_numpy(shares)).numpy()
    np.testing.assert_allclose(normal_quantiles(shares), expected, rtol=0, atol=1e-14)
