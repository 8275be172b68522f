import pytest

from mtl_cli.answers.student import incomplete_beta, quantile, two_sided


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 10, 100, 999])
def test_probabilities_and_quantiles_equal_those_of_scipy(freedom):
    t = pytest.importorskip("scipy.stats").t
    for value in (0.0, 0.1, 1.0, 3.0, 10.0, 100.0):
        assert two_sided(value, freedom) == pytest.approx(2 * t.sf(value, freedom), rel=1e-9, abs=1e-12)
        assert two_sided(-value, freedom) == two_sided(value, freedom)
    for level in (0.5, 0.95, 0.99, 0.9999):
        assert quantile(level, freedom) == pytest.approx(t.ppf((1 + level) / 2, freedom), rel=1e-8)


def test_the_ends_of_the_incomplete_beta_function():
    assert incomplete_beta(2, 3, 0) == 0
    assert incomplete_beta(2, 3, 1) == 1
    assert incomplete_beta(1, 1, 0.3) == pytest.approx(0.3)  # the uniform distribution
    assert two_sided(float("inf"), 3) == 0
