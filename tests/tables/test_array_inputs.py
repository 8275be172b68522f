import numpy as np
import pytest
import torch

from mtl_cli.tables.array_inputs import ArrayInputs


@pytest.mark.parametrize("centre", [0.0, 3.0, 2000.0, 1.6e9], ids=["near 0", "near", "years", "seconds"])
@pytest.mark.parametrize("shape", [(4,), (4, 3, 2)], ids=["vector", "image"])
@pytest.mark.parametrize("writeable", [True, False])
def test_rows_are_scaled_as_in_float64(centre, shape, writeable):
    rows = (np.random.default_rng(0).normal(centre, max(1.0, centre / 400), (20, *shape))).astype(np.float32)
    axes = (0, *range(2, rows.ndim))
    wide = (-1, *[1] * (len(shape) - 1))
    mean, std = rows.astype(np.float64).mean(axis=axes), rows.astype(np.float64).std(axis=axes)
    wanted = (rows - mean.reshape(wide)) / std.reshape(wide)
    rows[0, 1] = np.nan
    wanted[0, 1] = 0.0
    before = rows.copy()
    rows.flags.writeable = writeable
    found = ArrayInputs(shape, mean, std)(rows)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), wanted, rtol=0, atol=2e-6)
    np.testing.assert_array_equal(rows, before)
