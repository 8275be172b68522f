import numpy as np
import pytest

from mtl_cli.init.association import Labels, associate, contingency, cramers_v, mutual_information


def test_a_copy_says_everything_and_an_independent_column_nothing():
    one = np.array([0, 0, 1, 1] * 5)
    other = np.array([0, 1, 0, 1] * 5)
    same = associate(Labels(one), Labels(1 - one))
    assert (same.rows, same.correlation, same.bits, same.share) == pytest.approx((20, 1.0, 1.0, 1.0))
    apart = associate(Labels(one), Labels(other))
    assert (apart.correlation, apart.bits, apart.share) == pytest.approx((0.0, 0.0, 0.0), abs=1e-12)


def test_mutual_information_and_cramers_v_by_hand():
    joint = np.array([[3.0, 1.0], [1.0, 3.0]])  # p = 3/8, 1/8; margins 1/2
    assert mutual_information(joint) == pytest.approx(2 * 3 / 8 * np.log2(1.5) + 2 * 1 / 8 * np.log2(0.5))
    assert cramers_v(joint) == pytest.approx(0.5)  # χ² = 4·1²/2 = 2, N = 8


def test_numbers_have_pearsons_r_over_rows_with_both():
    stream = np.random.RandomState(0)
    x = stream.randn(500)
    y = x + stream.randn(500)
    x[::7], y[::5] = np.nan, np.nan
    found = associate(Labels.of_numbers(x), Labels.of_numbers(y))
    both = ~np.isnan(x) & ~np.isnan(y)
    assert found.rows == both.sum()
    assert found.correlation == pytest.approx(np.corrcoef(x[both], y[both])[0, 1])
    assert 0.2 < found.bits < 1.0


def test_numbers_are_cut_into_parts_of_equal_size():
    codes = Labels.of_numbers(np.arange(100.0)).codes
    assert np.bincount(codes).tolist() == [10] * 10
    assert Labels.of_numbers(np.array([np.nan, 1.0])).codes.tolist()[0] == -1


def test_no_common_row_and_a_constant_are_undefined():
    nothing = associate(Labels(np.array([0, -1])), Labels(np.array([-1, 1])))
    assert nothing.rows == 0
    assert np.isnan(nothing.correlation)
    constant = associate(Labels(np.zeros(9, dtype=int)), Labels(np.arange(9) % 2))
    assert np.isnan(constant.correlation)
    assert contingency(np.array([5, 5, 9]), np.array([1, 2, 2])).tolist() == [[1, 1], [0, 1]]
