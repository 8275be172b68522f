from tests.schedules._inputs import schedule


def test_every_step_has_every_task():
    assert {schedule("joint").tasks(step) for step in range(30)} == {("a", "b", "c")}
