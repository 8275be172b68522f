import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mtl_cli.config.interpolation import resolve
from mtl_cli.config.targets import Trust
from mtl_cli.features import Features, Stages
from mtl_cli.runs.build import build
from mtl_cli.sharing.low_rank_base import LowRankShifts, matrices, weight_names
from tests import _toy
from tests.sharing._inputs import ONE, TWO, Model, arguments, factory, inputs, losses, sharing
from tests.sharing._reference import NETS, TASKS, assert_equals


def adapted(net, w, prefix, shifts, h):
    """A stage with a low-rank path of scale 3 beside its layer."""
    weight, bias, a, b = w[f"{prefix}.weight"], w[f"{prefix}.bias"], w[f"{shifts}.a"], w[f"{shifts}.b"]
    if net.kind == "map":
        low = F.conv2d(F.conv2d(h, a.reshape(len(a), -1, 3, 3), padding=1), b.reshape(*b.shape, 1, 1))
        return F.max_pool2d((F.conv2d(h, weight, bias, padding=1) + 3.0 * low).clamp(min=0), 2)
    out = h @ weight.T + bias + 3.0 * (h @ a.T) @ b.T
    return out.clamp(min=0) if net.kind == "vector" else torch.tanh(out)


@pytest.mark.parametrize("net", NETS)
def test_equals_shared_paths_below_and_paths_of_each_task_above(net):
    def reference(net, w, x):
        h = net.stem(w, "trunk.0", x)
        for index in (1, 2):
            h = adapted(net, w, f"trunk.{index}.0", f"shared.{index - 1}", h)
        return {task: adapted(net, w, "top.0.0", f"own.{task}.0", h) for task in TASKS}

    settings = {"shared_rank": 3, "task_rank": 2, "scale": 3.0, "freeze_trunk": False}
    assert_equals("mtlora", net, reference, **settings)
    assert_equals("mtlora", net, reference, tasks=("right",), **settings)


@pytest.mark.parametrize("name", ["cnn", "mlp", "tokens", "gru"])
@pytest.mark.parametrize("task_stages", [1, 2])
def test_at_the_start_it_is_hard_sharing_bit_for_bit(name, task_stages):
    found, hard = sharing("mtlora", factory(name, TWO), task_stages=task_stages), sharing("hard", factory(name, TWO))
    for task, dataset in TWO.items():
        x = inputs(name, dataset)
        assert torch.equal(found(x, [task]).features[task].values, hard(x, [task]).features[task].values)


def test_what_has_an_adapter_is_frozen_and_the_rest_is_trained():
    model = Model(sharing("mtlora", factory("transformer", ONE)))
    trained = {name for name, parameter in model.sharing.named_parameters() if parameter.requires_grad}
    frozen = {name for name, parameter in model.sharing.named_parameters() if not parameter.requires_grad}
    assert {name for name in trained if "norm" in name}
    assert {name for name in trained if name.startswith("trunk.0.stems")}
    assert {"trunk.1.project.weight", "trunk.1.project.bias", "top.0.out.weight", "top.0.feed.3.bias"} <= frozen
    assert not any("norm" in name or name.startswith(("trunk.0", "shared", "own")) for name in frozen)
    found, _ = losses(model, "transformer", ONE, ["left", "right"])
    torch.stack(list(found.values())).sum().backward()
    assert all(model.sharing.get_parameter(name).grad is None for name in frozen)


def test_the_trunk_below_runs_once_for_all_tasks():
    mode = sharing("mtlora", factory("cnn", ONE))
    ran = []
    mode.trunk[1].register_forward_hook(lambda *_: ran.append("trunk"))
    mode.top[0].register_forward_hook(lambda *_: ran.append("top"))
    mode(inputs("cnn", "one"), ["left", "right"])
    assert ran == ["trunk", "top", "top"]


LAYERS = {
    "linear": (lambda: nn.Linear(6, 4), ["weight"]),
    "convolution": (lambda: nn.Conv1d(6, 4, 1), ["weight"]),
    "attention": (lambda: nn.MultiheadAttention(6, 2), ["in_proj_weight"]),
    "attention of two widths": (
        lambda: nn.MultiheadAttention(6, 2, kdim=4, vdim=4),
        ["q_proj_weight", "k_proj_weight", "v_proj_weight"],
    ),
    "gru": (lambda: nn.GRU(6, 4), ["weight_ih_l0", "weight_hh_l0"]),
    "embedding": (lambda: nn.Embedding(6, 4), []),
    "norm": (lambda: nn.LayerNorm(6), []),
}


@pytest.mark.parametrize("layer", LAYERS)
def test_every_matrix_of_a_layer_is_adapted(layer):
    make, names = LAYERS[layer]
    assert matrices(make()) == names


class Last(nn.Module):
    """A recurrent stage on sequences."""

    def __init__(self, kind):
        super().__init__()
        self.layer = kind(5, 4, batch_first=True, bidirectional=True, num_layers=2)

    def forward(self, values):
        return self.layer(values)[0]


@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM, nn.RNN])
def test_shifts_of_recurrent_weights_count_and_leave_no_trace(kind):
    stages = Stages(Last(kind), first=1)
    names = weight_names(stages)
    assert len(names) == 8
    shifts, x = LowRankShifts(stages, names, 2), Features(torch.randn(3, 7, 5))
    plain = stages(x).values
    with torch.no_grad():
        for shift in shifts:
            shift.b.normal_()
    shifted = shifts.run(stages, x, 0.5).values
    assert torch.equal(stages(x).values, plain)
    with torch.no_grad():
        for name, shift in zip(names, shifts, strict=True):
            stages.get_parameter(name).add_(0.5 * shift())
    torch.testing.assert_close(shifted, stages(x).values)
    gradients = torch.autograd.grad(shifted.sum(), list(shifts.parameters()))
    assert all(gradient.abs().sum() > 0 for gradient in gradients)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"shared_rank": 0}, r"sharing.shared_rank is 0; at least 1"),
        ({"task_rank": -1}, r"sharing.task_rank is -1; at least 1"),
        ({"task_stages": 4}, r"sharing.task_stages is 4; 3 stages of this .* Use sharing.task_stages=1"),
        ({"scale": 0.0}, r"sharing.scale is 0.0; .* Use sharing.scale=4.0"),
    ],
)
def test_arguments_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        sharing("mtlora", factory("mlp", ONE), **settings)


@pytest.mark.parametrize(("freezes", "warns"), [(True, True), (False, False)])
def test_freezing_weights_that_were_drawn_at_random_gives_a_warning(freezes, warns, caplog):
    node = {key: value for key, value in arguments("sharing/mtlora").items() if key != "freeze_trunk"}
    build(resolve(_toy.config(sharing={**node, "freeze_trunk": freezes})), Trust(("tests",)))
    assert ("these were drawn at random" in caplog.text) == warns
