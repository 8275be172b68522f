import numpy as np
import pytest

from mtl_cli.tables.scaling import Scaler, fit_scaler


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


def test_a_scaler_comes_back_from_its_state():
    values = matrix()
    scaler = fit_scaler(values, COLUMNS, ROWS, "median", 0.0, True, "standard")
    np.testing.assert_array_equal(
        Scaler.of(scaler.state(), len(COLUMNS))(values[:, COLUMNS]), scaler(values[:, COLUMNS])
    )
