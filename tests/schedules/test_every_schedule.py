import pytest

from tests.schedules._inputs import DATASET_OF, SCHEDULES, config, schedule, settable

every_schedule = pytest.mark.parametrize("name", SCHEDULES)


@every_schedule
def test_yaml_lists_the_arguments_of_the_constructor(name):
    cls, settings = config(name)
    assert list(settings) == settable(cls)


@every_schedule
@pytest.mark.parametrize(("length", "steps"), [("longest", 8), ("shortest", 2), ("sum", 10), (7, 7)])
def test_an_epoch_has_the_asked_for_length(name, length, steps):
    assert schedule(name, epoch_length=length).steps_per_epoch == steps


@every_schedule
@pytest.mark.parametrize("length", ["short", 0, -1, 2.5])
def test_other_lengths_are_refused(name, length):
    with pytest.raises(ValueError, match=r"schedule\.epoch_length is .* longest, shortest, sum or a number of steps"):
        schedule(name, epoch_length=length)


@every_schedule
def test_tasks_are_a_function_of_step_and_seed_alone(name):
    forward = [schedule(name, seed=3).tasks(step) for step in range(50)]
    one = schedule(name, seed=3)
    assert [one.tasks(step) for step in reversed(range(50))] == forward[::-1]


@every_schedule
def test_a_step_has_tasks_in_their_fixed_order(name):
    order = list(DATASET_OF)
    for step in range(50):
        tasks = schedule(name).tasks(step)
        assert tasks
        assert list(tasks) == [task for task in order if task in tasks]


@every_schedule
def test_every_task_gets_its_steps(name):
    made = schedule(name, epoch_length=10)
    assert {task for step in range(50) for task in made.tasks(step)} == set(DATASET_OF)


@every_schedule
def test_what_it_says_about_giving_all_tasks_is_true(name):
    made = schedule(name)
    assert made.gives_all_tasks == all(len(made.tasks(step)) == len(DATASET_OF) for step in range(50))


@every_schedule
def test_one_task_takes_part_in_every_step(name):
    made = schedule(name, dataset_of={"a": "big"})
    assert {made.tasks(step) for step in range(20)} == {("a",)}
