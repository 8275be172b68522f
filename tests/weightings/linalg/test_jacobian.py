import pytest
import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

from mtl_cli.weightings.linalg.jacobian import Jacobian, boundary_backward, boundary_rows, cosines, gramian, row_norms


class Toy(nn.Module):
    """A trunk in which one layer is used twice and one serves only the tasks from the second on."""

    def __init__(self, num_tasks):
        super().__init__()
        self.first, self.twice, self.late = nn.Linear(4, 6), nn.Linear(6, 6), nn.Linear(6, 6)
        self.heads = nn.ModuleList(nn.Linear(6, 1) for _ in range(num_tasks))

    def shared(self):
        return [*self.first.parameters(), *self.twice.parameters(), *self.late.parameters()]

    def losses(self, inputs, rows=None):
        x = torch.tanh(self.twice(torch.tanh(self.twice(torch.tanh(self.first(inputs))))))
        late = torch.tanh(self.late(x))
        outputs = {f"task{i}": head(late if i else x) for i, head in enumerate(self.heads)}
        return {task: output.square().mean() for task, output in outputs.items()}


ROWS = {f"task{index}": index for index in range(5)}


def reference(model, inputs):
    """Rows by autograd.grad, zeros where a task does not reach a parameter."""
    rows = []
    for loss in model.losses(inputs).values():
        grads = torch.autograd.grad(loss, model.shared(), retain_graph=True, allow_unused=True)
        pairs = zip(grads, model.shared(), strict=True)
        rows.append(torch.cat([(torch.zeros_like(p) if grad is None else grad).flatten() for grad, p in pairs]))
    return torch.stack(rows)


@pytest.mark.parametrize("num_tasks", [1, 2, 5])
def test_rows_equal_autograd_grad(num_tasks):
    model, inputs = Toy(num_tasks), torch.randn(8, 4)
    jacobian = Jacobian(model.shared(), num_tasks)
    for _ in range(2):  # the second use finds the first one's rows in the buffer
        with jacobian.recording(num_tasks):
            jacobian.add(model.losses(inputs), ROWS)
        assert torch.equal(jacobian.rows, reference(model, inputs))
    assert all(parameter.grad is None for parameter in model.shared())


def test_heads_get_the_gradient_of_their_own_loss():
    model, inputs = Toy(3), torch.randn(8, 4)
    own = [torch.autograd.grad(loss, head.weight)[0] for loss, head in fresh(model, inputs)]
    jacobian = Jacobian(model.shared(), 3)
    with jacobian.recording(3):
        jacobian.add(model.losses(inputs), ROWS)
    assert all(torch.equal(head.weight.grad, grad) for head, grad in zip(model.heads, own, strict=True))


def fresh(model, inputs):
    for index, head in enumerate(model.heads):
        yield model.losses(inputs)[f"task{index}"], head


def test_micro_batches_are_summed():
    model, inputs = Toy(3), torch.randn(8, 4)
    jacobian = Jacobian(model.shared(), 3)
    with jacobian.recording(3):
        for part in inputs.split(2):
            jacobian.add({task: loss / 4 for task, loss in model.losses(part).items()}, ROWS)
    assert torch.allclose(jacobian.rows, reference(model, inputs), atol=1e-7)


def test_weights_of_one_give_the_gradient_of_the_sum():
    model, other, inputs = Toy(3), Toy(3), torch.randn(8, 4)
    other.load_state_dict(model.state_dict())
    jacobian = Jacobian(model.shared(), 3)
    with jacobian.recording(3):
        jacobian.add(model.losses(inputs), ROWS)
    jacobian.combine(torch.ones(3, dtype=torch.float64))
    sum(other.losses(inputs).values()).backward()
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.allclose(one.grad, two.grad, atol=1e-6)


def test_a_parameter_that_no_present_task_reaches_keeps_no_gradient():
    model = Toy(3)
    jacobian = Jacobian(model.shared(), 3)
    with jacobian.recording(1):
        jacobian.add({"task0": model.losses(torch.randn(8, 4))["task0"]}, {"task0": 0})
    jacobian.combine(torch.ones(1))
    assert model.first.weight.grad is not None
    assert model.late.weight.grad is None


def test_the_hooks_are_gone_after_recording():
    model, inputs = Toy(2), torch.randn(8, 4)
    jacobian = Jacobian(model.shared(), 2)
    with pytest.raises(RuntimeError, match="stop"), jacobian.recording(2):
        raise RuntimeError("stop")
    sum(model.losses(inputs).values()).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_the_graph_of_the_last_task_is_freed():
    model = Toy(2)
    jacobian, losses = Jacobian(model.shared(), 2), model.losses(torch.randn(8, 4))
    with jacobian.recording(2):
        jacobian.add(losses, ROWS)
    with pytest.raises(RuntimeError, match="second time"):
        losses["task1"].backward()


def test_a_buffer_serves_only_its_own_parameters():
    model = Toy(2)
    jacobian = Jacobian(model.shared(), 2)
    assert jacobian.serves(model.shared(), 2)
    assert not jacobian.serves(model.shared(), 3)
    assert not jacobian.serves(model.shared()[:-1], 2)
    assert not jacobian.serves(Toy(2).shared(), 2)


@pytest.mark.parametrize("num_tasks", [2, 8])
def test_peak_memory_is_the_buffer_and_one_parameter(num_tasks):
    layers = [nn.Linear(64, 64) for _ in range(24)]
    trunk, heads = nn.Sequential(*layers), [nn.Linear(64, 1) for _ in range(num_tasks)]
    parameters = list(trunk.parameters())
    total = sum(parameter.numel() for parameter in parameters)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        features = trunk(torch.randn(1, 64))
        losses = {f"task{i}": head(features).sum() for i, head in enumerate(heads)}
        jacobian = Jacobian(parameters, num_tasks)
        with jacobian.recording(num_tasks):
            jacobian.add(losses, {f"task{i}": i for i in range(num_tasks)})
        weights = torch.ones(num_tasks) / row_norms(gramian(jacobian.rows)).float()
        jacobian.combine(weights)
    held = peak = 0
    for event in profiler.profiler.kineto_results.events():
        if event.name() == "[memory]":
            held += event.nbytes()
            peak = max(peak, held)
    assert 4 * num_tasks * total <= peak <= 1.1 * 4 * num_tasks * total


def test_gramian_and_cosines_equal_float64():
    rows = torch.randn(6, 50_001)
    rows[1] = rows[0]
    rows[2] *= 1e-6
    rows[3] *= 1e6
    exact = rows.double() @ rows.double().T
    norms = exact.diagonal().sqrt()
    assert ((gramian(rows) - exact).abs() / torch.outer(norms, norms)).max() < 2**-24  # one float32 rounding
    assert torch.allclose(cosines(exact).diagonal(), torch.ones(6, dtype=torch.float64))
    other = torch.randn(6, 50_001)
    assert torch.allclose(gramian(rows, other), rows.double() @ other.double().T, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_cosines_hold_at_any_scale(scale):
    rows = torch.randn(3, 5000)
    assert torch.allclose(cosines(gramian(rows * scale)), cosines(gramian(rows)), atol=1e-7)


def test_a_zero_row_has_no_cosine():
    rows = torch.stack([torch.ones(10), torch.zeros(10)])
    assert torch.equal(cosines(gramian(rows)), torch.tensor([[1.0, 0.0], [0.0, 0.0]], dtype=torch.float64))


def test_gradients_at_a_boundary_of_several_tensors():
    one, two = nn.Linear(4, 3), nn.Linear(4, 5)
    heads = {"a": nn.Linear(3, 1), "b": nn.Linear(8, 1)}
    inputs = torch.randn(7, 4)
    left, right = one(inputs), two(inputs)
    boundary = [left.view_as(left), right.to(torch.bfloat16)]
    losses = {
        "a": heads["a"](boundary[0]).square().mean(),
        "b": heads["b"](torch.cat([boundary[0], boundary[1].float()], dim=1)).square().mean(),
    }
    expected = [torch.autograd.grad(loss, boundary, retain_graph=True, allow_unused=True) for loss in losses.values()]
    own = {task: list(head.parameters()) for task, head in heads.items()}
    rows = boundary_rows(losses, boundary, own, {"a": 0, "b": 1, "absent": 2})
    assert rows.shape == (3, 7 * 8)
    assert rows[2].abs().max() == 0
    assert torch.equal(rows[0, : 7 * 3], expected[0][0].flatten())
    assert rows[0, 7 * 3 :].abs().max() == 0
    assert torch.equal(rows[1, 7 * 3 :], expected[1][1].flatten().float())
    assert one.weight.grad is None
    assert heads["a"].weight.grad is not None
    boundary_backward(boundary, rows.sum(dim=0))
    assert one.weight.grad is not None
    assert two.weight.grad is not None
