import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tests.sharing._inputs import ONE, TWO, Backbone, Embed, Model, factory, inputs, losses, sharing, two_sizes
from tests.sharing._reference import NETS, TASKS, assert_equals


@pytest.mark.parametrize("net", NETS)
def test_equals_a_low_rank_path_beside_each_layer(net):
    def reference(net, w, x):
        out = {}
        for task in TASKS:
            h = net.stem(w, "trunk.0", x)
            for index in (1, 2, 3):
                weight, bias = w[f"trunk.{index}.0.weight"], w[f"trunk.{index}.0.bias"]
                a, b = w[f"adapters.{task}.{index - 1}.a"], w[f"adapters.{task}.{index - 1}.b"]
                if net.kind == "map":
                    low = F.conv2d(h, a.reshape(2, -1, 3, 3), padding=1)
                    low = F.conv2d(low, b.reshape(*b.shape, 1, 1))
                    h = F.max_pool2d((F.conv2d(h, weight, bias, padding=1) + 3.0 / 2 * low).clamp(min=0), 2)
                else:
                    h = h @ weight.T + bias + 3.0 / 2 * (h @ a.T) @ b.T
                    h = h.clamp(min=0) if net.kind == "vector" else torch.tanh(h)
            out[task] = h
        return out

    assert_equals("adapters", net, reference, rank=2, alpha=3.0)
    assert_equals("adapters", net, reference, tasks=("right",), rank=2, alpha=3.0)


@pytest.mark.parametrize("name", ["cnn", "lenet", "mlp", "tokens"])
@pytest.mark.parametrize("dataset_of", [ONE, TWO], ids=["one_dataset", "two_datasets"])
def test_at_the_start_it_is_hard_sharing_bit_for_bit(dataset_of, name):
    adapted, hard = (sharing(mode, factory(name, dataset_of)) for mode in ("adapters", "hard"))
    for task, dataset in dataset_of.items():
        x = inputs(name, dataset)
        assert torch.equal(adapted(x, [task]).features[task].values, hard(x, [task]).features[task].values)


def test_layers_whose_weights_are_read_by_others_are_adapted_too():
    mode = sharing("adapters", factory("tokens", ONE))
    assert "2.attention.out_proj.weight" in mode.adapters["left"].names
    with torch.no_grad():
        mode.adapters["left"][mode.adapters["left"].names.index("2.attention.out_proj.weight")].b.fill_(1.0)
    features = mode(inputs("tokens", "one"), ["left", "right"]).features
    assert not torch.allclose(features["left"].values, features["right"].values)


@pytest.mark.parametrize("name", ["cnn", "gru", "lstm", "ft_transformer", "transformer"])
def test_every_weight_matrix_has_an_adapter_that_moves_the_features(name):
    mode = sharing("adapters", factory(name, ONE))
    wanted = set()
    for key, value in mode.trunk.named_parameters():
        owner = mode.trunk.get_submodule(key.rpartition(".")[0])
        if value.ndim > 1 and type(owner).__module__.startswith("torch.nn") and not isinstance(owner, nn.Embedding):
            wanted.add(key)
    shifts = mode.adapters["left"]
    assert set(shifts.names) == wanted
    x = inputs(name, "one")
    mode.eval()
    with torch.no_grad():
        start = mode(x, ["left"]).features["left"].values
        for weight, shift in zip(shifts.names, shifts, strict=True):
            shift.b.normal_()
            moved = mode(x, ["left", "right"]).features
            assert not torch.allclose(moved["left"].values, start, atol=1e-6), weight
            assert torch.equal(moved["right"].values, start)
            shift.b.zero_()


def test_a_frozen_trunk_shares_nothing_that_is_trained():
    model = Model(sharing("adapters", factory("cnn", ONE), freeze_trunk=True))
    before = {key: value.clone() for key, value in model.sharing.trunk.state_dict().items()}
    found, _ = losses(model, "cnn", ONE, ["left", "right"])
    torch.stack(list(found.values())).sum().backward()
    assert all(parameter.grad is None for parameter in model.sharing.trunk.parameters())
    assert all(torch.equal(value, before[key]) for key, value in model.sharing.trunk.state_dict().items())


def test_a_task_adapts_only_the_stem_of_its_own_dataset():
    names = sharing("adapters", two_sizes()).adapters["left"].names
    assert [name for name in names if name.startswith("0.")] == ["0.stems.one.1.weight"]


class NothingToAdapt(Backbone):
    def common_input(self, inputs):
        return inputs["one"]

    def stem(self, inputs, common):
        return Embed()

    def stages(self, common):
        return {"idle": nn.Identity}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"alpha": 0.0}, r"sharing.alpha is 0.0; .* Use sharing.alpha=4.0"),
        ({"rank": -1}, r"sharing.rank is -1; at least 1"),
    ],
)
def test_arguments_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        sharing("adapters", factory("mlp", ONE), **settings)


def test_a_backbone_without_layers_to_adapt_is_refused():
    from mtl_cli.backbones.base import BackboneFactory
    from mtl_cli.batch import Inputs, InputSpec

    made = BackboneFactory(
        NothingToAdapt(), {"one": Inputs(torch.ones(2, 3, dtype=torch.long), "one")},
        {"one": InputSpec("tokens", (3,))}, ONE, seed=0,
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"no weight to adapt: .* Use sharing=hard"):
        sharing("adapters", made)
