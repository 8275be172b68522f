import pytest

from tests.schedules._inputs import schedule


def test_tasks_take_turns():
    made = schedule("round_robin")
    assert [made.tasks(step) for step in range(5)] == [("a",), ("b",), ("c",), ("a",), ("b",)]


def test_datasets_take_turns_with_all_their_tasks():
    made = schedule("round_robin", unit="dataset")
    assert [made.tasks(step) for step in range(3)] == [("a", "c"), ("b",), ("a", "c")]


def test_an_unknown_unit_is_refused():
    with pytest.raises(ValueError, match=r"schedule\.unit is 'batch'; it is one of task, dataset"):
        schedule("round_robin", unit="batch")
