import torch

from tests.weightings._inputs import TinyStep, gradients, make, net, task_names


def test_equals_the_gradient_of_the_sum():
    plain, model, tasks = net(3), net(3), task_names(3)
    weights = make("fixed", 3).backward(TinyStep(model, tasks))
    sum(next(TinyStep(plain, tasks).passes()).losses.values()).backward()
    wanted, got = gradients(plain), gradients(model)
    assert all(torch.equal(got[name], wanted[name]) for name in wanted)
    assert [float(weight) for weight in weights.values()] == [1.0, 1.0, 1.0]


def test_a_step_that_is_not_logged_has_the_same_gradient_to_the_last_bit():
    logged, model, tasks = net(3), net(3), task_names(3)
    make("fixed", 3).backward(TinyStep(logged, tasks))
    step = TinyStep(model, tasks)
    step.logging = False
    assert make("fixed", 3).backward(step) == {}
    assert all(torch.equal(value, gradients(logged)[name]) for name, value in gradients(model).items())
