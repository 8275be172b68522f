"""The probe against what is known of made-up columns: no chance find, and real effects found."""

import numpy as np
import pytest

from mtl_cli.init.probe import Cells, Probe, means_of, polynomial


def cells(numbers):
    return Cells(np.unique(numbers, return_inverse=True)[1], numbers)


def probe(y, *beside):
    return Probe(((y - y.mean()) / y.std())[:, None], np.column_stack(beside) if beside else np.empty((len(y), 0)))


@pytest.mark.parametrize("rows", [100, 2000])
def test_quantities_are_no_better_as_categories(rows):
    for seed in range(10):
        stream = np.random.RandomState(seed)
        age, rooms = stream.randint(18, 91, rows).astype(float), stream.randint(1, 9, rows).astype(float)
        y = 0.1 * age + rooms + stream.randn(rows)
        for each in (probe(y), probe(y, age, rooms)):
            assert each.is_category(cells(age)) == each.is_category(cells(rooms)) == 0.0
            assert each.are_categories(cells(age), cells(rooms)) == 0.0


def test_codes_with_effects_of_their_own_are_categories():
    for seed in range(10):
        stream = np.random.RandomState(seed)
        store, x = stream.randint(0, 12, 400).astype(float), stream.randn(400)
        y = stream.randn(12)[store.astype(int)] + x + stream.randn(400)
        assert probe(y, x).is_category(cells(store)) > 0.02


def test_codes_whose_pairs_count_are_categories_together():
    stream = np.random.RandomState(0)
    user, item = stream.randint(0, 30, 1500).astype(float), stream.randint(0, 40, 1500).astype(float)
    y = (stream.randn(30, 2)[user.astype(int)] * stream.randn(40, 2)[item.astype(int)]).sum(axis=1)
    assert probe(y).is_category(cells(user)) < 0.1
    assert probe(y).are_categories(cells(user), cells(item)) > 0.8


def test_skill_is_the_share_of_what_varies():
    stream = np.random.RandomState(0)
    x = stream.randn(3000)
    assert probe(x + stream.randn(3000)).skill(cells(x)) == pytest.approx(0.5, abs=0.03)
    assert probe((x > 0.7).astype(float)).skill(cells(x)) > 0.98, "a step"
    assert probe(stream.randn(3000)).skill(cells(x)) < 0.02
    missing = np.where(stream.rand(3000) < 0.3, np.nan, x)
    assert 0.4 < probe(x).skill(Cells(np.where(np.isnan(missing), -1, cells(x).codes), missing)) < 0.75


def test_means_and_polynomials_by_hand():
    train = np.array([True, True, True, True, False, False])
    target = np.array([[1.0], [3.0], [10.0], [10.0], [0.0], [0.0]])
    drawn = means_of(np.array([0, 0, 1, 1, 0, 2]), target, train)[:, 0]
    # The mean is 6, the means of codes −4 and 4 from it, within 2/(4 − 2) = 1, between 16 − 1·2/4 = 15.5.
    assert drawn[4] == pytest.approx(6 - 4 * 2 / (2 + 1 / 15.5))
    assert drawn[5] == 6.0, "a code that training lacks"
    x = np.linspace(-1, 1, 40)
    fitted = polynomial(x, (x**3 - x)[:, None], np.arange(40) % 2 == 0)[:, 0]
    np.testing.assert_allclose(fitted, x**3 - x, atol=1e-3)
