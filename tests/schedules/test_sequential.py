import math

import pytest

from tests.schedules._inputs import schedule


def test_tasks_come_one_after_the_other_and_the_last_stays():
    made = schedule("sequential", unit="steps", length=2)
    assert "".join(made.tasks(step)[0] for step in range(9)) == "aabbccccc"


def test_lengths_in_epochs_are_epochs_of_the_run():
    made = schedule("sequential", epoch_length=3, length=2)
    assert "".join(made.tasks(step)[0] for step in range(15)) == "aaaaaabbbbbbccc"


def test_rehearsal_trains_earlier_tasks_with_its_probability_and_never_later_ones():
    steps = 9_000
    made = schedule("sequential", unit="steps", length=steps, rehearsal=0.3)
    phases = [[made.tasks(step)[0] for step in range(k * steps, (k + 1) * steps)] for k in range(3)]
    assert set(phases[0]) == {"a"}
    assert set(phases[1]) == {"a", "b"}
    for share, expected in (
        (phases[1].count("a") / steps, 0.3),
        (phases[2].count("a") / steps, 0.15),
        (phases[2].count("b") / steps, 0.15),
    ):
        assert abs(share - expected) < 4 * math.sqrt(expected * (1 - expected) / steps)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"length": 0}, r"schedule\.length is 0; .* Use schedule\.length=1"),
        ({"unit": "passes"}, r"schedule\.unit is 'passes'; it is one of epochs, steps"),
        ({"rehearsal": 1.0}, r"schedule\.rehearsal is 1\.0; it is a probability in \[0, 1\)"),
        ({"rehearsal": -0.1}, r"schedule\.rehearsal is -0\.1"),
    ],
)
def test_arguments_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        schedule("sequential", **settings)
