import pytest
import torch

from tests.weightings._inputs import LOSS_METHODS, TinyStep, gradients, make, net, task_names


@pytest.mark.parametrize("method", LOSS_METHODS)
def test_weights_are_the_derivatives_of_the_total(method):
    model, plain = net(3), net(3)
    weights = make(method, 3).backward(TinyStep(model, task_names(3)))
    losses = next(TinyStep(plain, task_names(3)).passes()).losses
    sum(float(weights[task]) * loss for task, loss in losses.items()).backward()
    wanted, got = gradients(plain), gradients(model)
    assert all(torch.allclose(got[name], wanted[name], rtol=1e-4, atol=1e-6) for name in wanted)


@pytest.mark.parametrize("method", LOSS_METHODS)
def test_own_parameters_learn_the_same_from_micro_batches(method):
    grads = []
    for num_passes in (1, 3):
        weighting = make(method, 3)
        weighting.backward(TinyStep(net(3), task_names(3), num_passes=num_passes))
        grads.append([parameter.grad for parameter in weighting.parameters()])
    assert all(torch.allclose(one, other, atol=1e-6) for one, other in zip(*grads, strict=True))


@pytest.mark.parametrize("method", LOSS_METHODS)
def test_losses_are_observed_once_a_step(method, monkeypatch):
    for num_passes in (1, 3):
        seen = []
        weighting, step = make(method, 3), TinyStep(net(3), task_names(3)[1:], num_passes=num_passes)
        monkeypatch.setattr(weighting, "observe", lambda losses, present, seen=seen: seen.append((losses, present)))
        weighting.backward(step)
        ((losses, present),) = seen
        assert present.tolist() == [1, 2]
        assert torch.allclose(losses, torch.stack(list(step.losses_now().values())))


def test_a_stream_depends_on_seed_step_and_method_alone():
    weighting, other = make("rlw", 2), make("rlw", 5)

    def first(method, at):
        method.at = at
        return method.stream().initial_seed()

    assert first(weighting, (0, 1)) == first(other, (0, 1)) != first(weighting, (0, 2))
    assert first(weighting, (1, 1)) != first(weighting, (0, 1)) != first(make("pcgrad", 2), (0, 1))


def test_draws_follow_names_not_places():
    draws = torch.arange(3)
    assert make("rlw", 3, ["c", "a", "b"]).by_name(draws).tolist() == [2, 0, 1]
