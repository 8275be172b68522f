import pytest
import torch

from tests.weightings._inputs import TinyStep, gradients, make, net, task_names


def textbook(model, step, logits, first, alpha):
    """Gradient of Σ|‖∇wᵢLᵢ‖ − mean · rᵢ^alpha| / mean by a double backward through the model."""
    logits = logits.clone().requires_grad_()
    weights = len(step.tasks) * torch.softmax(logits, dim=0)
    losses = next(step.passes()).losses
    norms = []
    for weight, task in zip(weights, step.tasks, strict=True):
        grads = torch.autograd.grad(weight * losses[task], list(model.trunk.parameters()), create_graph=True)
        norms.append(torch.cat([grad.flatten() for grad in grads]).norm())
    norms = torch.stack(norms)
    ratios = torch.stack([losses[task].detach() for task in step.tasks]) / first
    target = (norms.mean() * (ratios / ratios.mean()) ** alpha).detach()
    ((norms - target).abs().sum() / norms.mean().detach()).backward(inputs=[logits])
    return weights.detach(), logits.grad


@pytest.mark.parametrize("num_tasks", [2, 5, 12])
def test_equals_the_double_backward(num_tasks):
    model, tasks = net(num_tasks), task_names(num_tasks)
    weighting = make("gradnorm", num_tasks)
    weighting.logits.data.copy_(torch.linspace(-1, 1, num_tasks))
    weighting.first.copy_(torch.linspace(0.5, 2, num_tasks))
    step = TinyStep(model, tasks)
    weights, wanted = textbook(model, step, weighting.logits.detach(), weighting.first, weighting.alpha)
    used = weighting.backward(step)
    assert torch.allclose(torch.stack(list(used.values())).float(), weights)
    assert torch.allclose(weighting.logits.grad, wanted, atol=1e-5)


def test_heads_and_trunk_get_the_weighted_losses():
    plain, model, tasks = net(3), net(3), task_names(3)
    weighting = make("gradnorm", 3)
    weighting.logits.data.copy_(torch.tensor([-1.0, 0.0, 1.0]))
    weights = weighting.backward(TinyStep(model, tasks))
    losses = next(TinyStep(plain, tasks).passes()).losses
    sum(float(weights[task]) * losses[task] for task in tasks).backward()
    wanted, got = gradients(plain), gradients(model)
    assert all(torch.allclose(got[name], wanted[name], atol=1e-6) for name in wanted)


@pytest.mark.parametrize("match_norm", ["none", "sum"])
@pytest.mark.parametrize("level", ["parameters", "features"])
def test_heads_and_trunk_have_the_same_weights_where_they_are_reused(match_norm, level):
    weighting, tasks = make("gradnorm", 3, update_every=3, match_norm=match_norm, level=level, lr=1.0), task_names(3)
    optimizer, used = torch.optim.SGD(weighting.parameters(), lr=1.0), []
    for index in range(4):
        plain, model, step = net(3), net(3), TinyStep(net(3), tasks, index=index)
        optimizer.zero_grad()
        step.net = model
        weights = weighting.backward(step)
        optimizer.step()
        used.append(torch.stack([weights[task].float() for task in tasks]))
        step.net = plain
        losses = next(step.passes()).losses
        sum(float(weights[task]) * losses[task] for task in tasks).backward()
        wanted, got = gradients(plain), gradients(model)
        scale = got["heads.task0.weight"].norm() / wanted["heads.task0.weight"].norm()
        assert match_norm == "sum" or scale == pytest.approx(1.0, rel=1e-5)
        for name in wanted:
            factor = scale if name.startswith("heads") else 1.0
            torch.testing.assert_close(got[name], factor * wanted[name], rtol=1e-4, atol=1e-6)
    assert torch.allclose(used[1], used[0])
    assert not torch.allclose(used[3], used[0], rtol=1e-2)


def test_the_first_loss_of_a_task_is_kept():
    weighting, model = make("gradnorm", 3), net(3)
    first = TinyStep(model, task_names(3)[:2])
    weighting.backward(first)
    assert torch.allclose(weighting.first[0], first.losses_now()["task0"])
    assert weighting.first[2].isnan()
    weighting.backward(TinyStep(model, task_names(3), index=1))
    assert torch.allclose(weighting.first[0], first.losses_now()["task0"])
    assert weighting.first.isfinite().all()
