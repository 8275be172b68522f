import itertools
import math

import pytest
import torch

from mtl_cli.batch import Inputs
from mtl_cli.features import Features
from tests.sharing._inputs import ONE, factory, inputs, sharing
from tests.sharing._reference import NETS, TASKS, assert_equals, batch_of, randomised, reference_factory


def smooth_step(t, gamma):
    if t <= -gamma / 2:
        return t * 0
    if t >= gamma / 2:
        return t * 0 + 1
    return -2 / gamma**3 * t**3 + 3 / (2 * gamma) * t + 0.5


def selector(z, experts, gamma):
    """One selector's choice, expert by expert and digit by digit."""
    choice = []
    for expert in range(experts):
        product = torch.ones((), dtype=torch.float64)
        for digit in range(len(z)):
            step = smooth_step(z[digit], gamma)
            product = product * (step if expert >> digit & 1 else 1 - step)
        choice.append(product)
    return torch.stack(choice)


def gate_of(w, task, pooled, k, experts, gamma):
    """Weights [E] and selectors [k, E] of one sample."""
    digits = math.ceil(math.log2(experts))
    prefix = f"gates.{task}"
    if f"{prefix}.z" in w:
        z, alpha = w[f"{prefix}.z"], w[f"{prefix}.alpha"]
    else:
        z = (w[f"{prefix}.z_weight"] @ pooled + w[f"{prefix}.z_bias"]).reshape(k, digits)
        alpha = w[f"{prefix}.alpha_weight"] @ pooled + w[f"{prefix}.alpha_bias"]
    selectors = torch.stack([selector(z[i], experts, gamma) for i in range(k)])
    return torch.softmax(alpha, dim=0) @ selectors, selectors


@pytest.mark.parametrize(("experts", "k", "gate"), [(4, 2, "per_example"), (3, 1, "per_example"), (5, 3, "static")])
@pytest.mark.parametrize("net", NETS)
def test_equals_sums_under_the_selected_weights(net, experts, k, gate):
    def reference(net, w, x):
        split = net.trunk(w, "trunk", x, 2)
        outputs = [net.stage(w, f"experts.{e}.0", split) for e in range(experts)]
        pooled = net.pool(split, x)
        out = {}
        for task in TASKS:
            q = torch.stack([gate_of(w, task, row, k, experts, 1.5)[0] for row in pooled])
            out[task] = sum(net.spread(q[:, e], outputs[e]) * outputs[e] for e in range(experts))
        return out

    settings = {"num_experts": experts, "num_selected": k, "gate": gate, "gamma": 1.5}
    assert_equals("dselect_k", net, reference, **settings)


@pytest.mark.parametrize("gate", ["per_example", "static"])
@pytest.mark.parametrize("experts", [4, 3])
def test_penalty_is_the_entropy_of_selectors_and_the_weight_they_give_to_missing_experts(experts, gate):
    mode = sharing("dselect_k", reference_factory("vector"), num_experts=experts, gate=gate, entropy=0.1)
    mode = randomised(mode)
    x = batch_of("vector")
    w = dict(mode.named_parameters())
    shared = mode(Inputs(x, "one"), ["left", "third"])
    got = shared.penalty if gate == "per_example" else mode.regularizer()
    assert (mode.regularizer() is None) == (gate == "per_example")
    assert (shared.penalty is None) == (gate == "static")
    rows = NETS[0].trunk(w, "trunk", x, 2) if gate == "per_example" else [None]
    expected = 0.0
    for task, row in itertools.product(["left", "third"] if gate == "per_example" else TASKS, rows):
        _, selectors = gate_of(w, task, row, 2, experts, 1.0)
        term = -0.1 * (selectors * torch.log(selectors + 1e-6)).sum()
        if experts == 3:
            term = term + (1 / (selectors.sum(dim=1) + 1e-6) - 1).sum()
        expected = expected + term / len(rows)
    torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-12)
    gradients = torch.autograd.grad(got, list(w.values()), allow_unused=True, retain_graph=True)
    wanted = torch.autograd.grad(expected, list(w.values()), allow_unused=True)
    for first, second in zip(gradients, wanted, strict=True):
        assert (first is None) == (second is None)
        if first is not None:
            torch.testing.assert_close(first, second, rtol=1e-8, atol=1e-10)


def test_without_entropy_and_with_a_power_of_2_there_is_no_penalty():
    mode = sharing("dselect_k", factory("mlp", ONE), entropy=0.0)
    assert mode(inputs("mlp", "one"), ["left"]).penalty is None
    assert sharing("dselect_k", factory("mlp", ONE), entropy=0.0, gate="static").regularizer() is None


@pytest.mark.parametrize("experts", [1, 2, 3, 4, 7, 8])
def test_weights_of_saturated_selectors_are_of_at_most_k_experts_and_sum_to_1(experts):
    mode = sharing("dselect_k", factory("mlp", ONE), num_experts=experts, num_selected=1, gate="static")
    gate = mode.gates["left"]
    for expert in range(experts):
        digits = [1.0 if expert >> j & 1 else -1.0 for j in range(gate.z.shape[1])]
        gate.z.data = torch.tensor([digits])
        assert gate().weights.tolist() == [[1.0 if e == expert else 0.0 for e in range(experts)]]


def test_one_expert_is_hard_sharing_bit_for_bit():
    x = inputs("cnn", "one")
    first = sharing("dselect_k", factory("cnn", ONE), num_experts=1, num_selected=1)(x, ["left"])
    second = sharing("hard", factory("cnn", ONE))(x, ["left"])
    assert torch.equal(first.features["left"].values, second.features["left"].values)


def test_experts_that_static_gates_leave_out_do_not_run_and_nothing_changes():
    mode = sharing("dselect_k", factory("cnn", ONE), gate="static", num_selected=2)
    with torch.no_grad():
        mode.gates["left"].z.copy_(torch.tensor([[1.0, -1.0], [1.0, 0.1]]))  # experts 1 and 3
        mode.gates["right"].z.copy_(torch.tensor([[-1.0, -1.0], [1.0, -1.0]]))  # experts 0 and 1
    ran = []
    for e, expert in enumerate(mode.experts):
        expert[0].register_forward_hook(lambda *_, e=e: ran.append(e))
    x = inputs("cnn", "one")
    features = mode(x, ["left"]).features["left"].values
    assert ran == [1, 3]
    split = mode.trunk[2](mode.trunk[1](x.values))
    q = mode.gates["left"]().weights[0]
    whole = sum(q[e] * mode.experts[e](Features(split)).values for e in range(4))
    torch.testing.assert_close(features, whole)
    ran.clear()
    mode(x, ["left", "right"])
    assert ran == [0, 1, 3]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_selected": 5}, r"sharing.num_selected is 5, but there are 4 experts. Use sharing.num_selected=4 or"),
        ({"gate": "dynamic"}, "sharing.gate is 'dynamic'; it is one of per_example, static"),
        ({"gamma": 0.0}, r"sharing.gamma is 0.0; .* Use sharing.gamma=1.0"),
        ({"entropy": -1.0}, r"sharing.entropy is -1.0; a strength is a finite number ≥ 0"),
    ],
)
def test_arguments_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        sharing("dselect_k", factory("mlp", ONE), **settings)
