import math

import pytest
import torch

from mtl_cli.errors import RunFailure
from mtl_cli.training.window import Window, first_bad


def filled(rows):
    window = Window()
    for step, losses in enumerate(rows):
        window.add(step, {task: torch.tensor(value) for task, value in losses.items()})
    return window


def test_means_are_over_the_steps_in_which_a_task_took_part_and_start_anew():
    window = filled([{"a": 1.0, "b": 10.0}, {"b": 30.0}, {}, {"a": 4.0}])
    assert window.means() == {"a": 2.5, "b": 20.0}
    assert window.means() == {}
    window.add(7, {"a": torch.tensor(3.0)})
    assert window.means() == {"a": 3.0}


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_the_first_step_and_task_that_is_not_finite_is_named(bad):
    window = filled([{"a": 1.0, "b": 1.0}, {"b": 1.0}, {"a": 2.0, "b": bad}, {"a": bad, "b": 1.0}])
    with pytest.raises(RunFailure, match=rf"task 'b' is {bad} at step 2\..*optimizer\.lr"):
        window.check()
    filled([{"a": 1e30}, {"b": -1e30}]).check()


def test_a_window_survives_a_checkpoint(tmp_path):
    window = filled([{"a": 1.0, "b": 10.0}, {"b": math.nan}])
    torch.save(window.state_dict(), tmp_path / "w.pt")
    again = Window()
    again.load_state_dict(torch.load(tmp_path / "w.pt", weights_only=True), torch.device("cpu"))
    again.add(2, {"a": torch.tensor(5.0)})
    with pytest.raises(RunFailure, match="task 'b' is nan at step 1"):
        again.check()
    assert again.means()["a"] == 3.0


def test_adding_copies_no_value_to_the_host():
    window = Window()
    window.add(0, {"a": torch.empty((), device="meta")})  # a meta tensor has no value to read
    with pytest.raises((NotImplementedError, RuntimeError)):
        window.means()


def test_the_first_bad_thing_of_a_step_is_told_in_words():
    good = {"a": torch.tensor(1.0), "b": torch.tensor(2.0)}
    fine, huge = torch.ones(3), torch.full((4,), 1e30)
    assert first_bad(good, [fine, huge]) is None  # whose squares overflow
    assert first_bad(good, []) is None
    assert first_bad({}, []) is None
    for bad in (math.nan, math.inf):
        assert first_bad({**good, "b": torch.tensor(bad)}, [fine]) == "the loss of task 'b'"
        assert first_bad({"a": torch.tensor(bad), "b": torch.tensor(bad)}, []) == "the loss of task 'a', 'b'"
        for position in range(3):
            gradient = torch.ones(2, 3)
            gradient[1, position] = bad
            assert first_bad(good, [fine, gradient]) == "a gradient"
            assert first_bad(good, [gradient.bfloat16(), fine.bfloat16()]) == "a gradient"
