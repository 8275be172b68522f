import pytest
from compare_front import gains, hypervolume, parts_of


def test_the_hypervolume_by_hand():
    assert hypervolume([(0.5, 0.5)]) == pytest.approx(0.25)
    assert hypervolume([(1.0, 0.5), (0.5, 1.0)]) == pytest.approx(0.75)
    assert hypervolume([(1.0, 0.5), (0.5, 1.0), (0.4, 0.9), (0.2, -1.0)]) == pytest.approx(0.75)
    assert hypervolume([(-0.5, 2.0), (2.0, 0.0)]) == 0


def test_gains_are_over_the_trivial_predictor():
    primary = {
        "a": {"metric": "accuracy", "trivial": 0.2, "lower_is_better": False},
        "b": {"metric": "mae", "trivial": 4.0, "lower_is_better": True},
    }
    assert gains(primary, {"a/accuracy": 0.6, "b/mae": 1.0}) == pytest.approx((0.5, 0.75))


def test_preferences_go_from_one_task_to_the_other():
    assert parts_of(3) == [(0.0, 1.0), (0.5, 0.5), (1.0, 0.0)]
