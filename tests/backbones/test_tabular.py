import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mtl_cli.backbones.base import BackboneFactory
from mtl_cli.backbones.ft_transformer import FTTransformer
from mtl_cli.backbones.mlp import MLP
from mtl_cli.backbones.tabular import Tabular
from mtl_cli.batch import Inputs, InputSpec
from mtl_cli.features import run_stages
from mtl_cli.layers.table import CategoryEmbedding, JoinedTable, SummedTable
from tests.sharing._inputs import MODES, TWO, sharing, tables

SPEC = InputSpec("table", (7,), (4, 3))
NUMBERS, CATEGORIES = InputSpec("table", (2,)), InputSpec("table", (1,), (9,))


def factory(backbone, **specs):
    specs = specs or {"one": SPEC}
    examples = {name: Inputs(rows(spec, 2), name) for name, spec in specs.items()}
    dataset_of = TWO if len(specs) == 2 else {"left": "one", "right": "one"}
    return BackboneFactory(backbone, examples, specs, dataset_of, seed=0)


def rows(spec, size):
    if spec.kind == "vector":
        return torch.randn(size, *spec.shape)
    count = len(spec.categories)
    categorical = torch.stack([torch.randint(0, top, (size,)) for top in spec.categories], dim=1) if count else None
    categorical = torch.zeros(size, 0, dtype=torch.int64) if categorical is None else categorical
    return {"numeric": torch.randn(size, spec.shape[0] - count), "categorical": categorical}


def test_it_is_embedding_linear_and_dense_layers():
    stages = factory(Tabular([8, 6], 4, 0.0, "relu", "default"))().eval()
    values = tables(5)
    state = dict(stages.named_parameters())
    table = state["0.stems.one.0.embed.table.weight"]
    assert table.shape == (7, 4)
    categorical = values["categorical"]
    joined = torch.cat([values["numeric"], table[categorical[:, 0]], table[4 + categorical[:, 1]]], dim=1)
    x = F.relu(F.linear(joined, state["0.stems.one.0.project.weight"], state["0.stems.one.0.project.bias"]))
    x = F.relu(F.linear(x, state["1.0.weight"], state["1.0.bias"]))
    x = F.relu(F.linear(x, state["2.0.weight"], state["2.0.bias"]))
    torch.testing.assert_close(run_stages(stages, Inputs(values, "one")).values, x)


def test_unknown_categories_start_at_zero_and_learn():
    embed = CategoryEmbedding((4, 3), 5)
    assert embed(torch.zeros(2, 2, dtype=torch.int64)).eq(0).all()
    assert embed(torch.ones(2, 2, dtype=torch.int64)).ne(0).all()
    embed(torch.zeros(1, 2, dtype=torch.int64)).sum().backward()
    assert embed.table.weight.grad[[0, 4]].eq(1).all()


def test_columns_of_one_kind_only_are_enough():
    for spec in (NUMBERS, CATEGORIES, InputSpec("vector", (3,))):
        for backbone in (Tabular([8], 4, 0.0, "relu", "default"), MLP([8], 0.0, "relu", "default"), transformer()):
            stages = factory(backbone, one=spec)()
            assert run_stages(stages, Inputs(rows(spec, 3), "one")).values.shape == (3, 8)


def test_an_mlp_takes_categories_as_one_hot():
    layer = SummedTable(SPEC, 6)
    values = tables(5)
    one_hot = [F.one_hot(values["categorical"][:, k], count) for k, count in enumerate(SPEC.categories)]
    wide = torch.cat([values["numeric"], *one_hot], dim=1).float()
    linear = nn.Linear(12, 6)
    with torch.no_grad():
        linear.weight.copy_(torch.cat([layer.numeric.weight, layer.embed.table.weight.T], dim=1))
        linear.bias.copy_(layer.numeric.bias)
    torch.testing.assert_close(layer(values), linear(wide))


def test_an_mlp_shares_its_stages_between_images_and_tables():
    specs = {"one": SPEC, "two": InputSpec("image", (1, 4, 4))}
    examples = {"one": Inputs(tables(2), "one"), "two": Inputs(torch.randn(2, 1, 4, 4), "two")}
    made = BackboneFactory(MLP([8, 8], 0.0, "relu", "default"), examples, specs, TWO, seed=0)
    for inputs in examples.values():
        assert run_stages(made(), inputs).values.shape == (2, 8)


def transformer(blocks=2):
    return FTTransformer(8, blocks, 2, 4 / 3, 0.0, 0.0, 0.0, "default")


@pytest.mark.parametrize("name", ["tabular", "ft_transformer"])
@pytest.mark.parametrize("kind", ["image", "tokens"])
def test_other_inputs_are_refused_with_what_fits(name, kind):
    backbone = Tabular([8], 4, 0.0, "relu", "default") if name == "tabular" else transformer()
    with pytest.raises(ValueError, match=rf"backbone={name} takes table or vector inputs; .*{kind} inputs"):
        backbone.common_input({"one": InputSpec(kind, (1, 28, 28))})


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["tabular", "ft_transformer"])
def test_every_mode_takes_datasets_of_different_columns(name, mode):
    backbone = Tabular([8, 8, 8], 4, 0.0, "relu", "default") if name == "tabular" else transformer(3)
    specs = {"one": SPEC, "two": InputSpec("table", (4,), (5,))}
    model = sharing(mode, factory(backbone, **specs))
    for task, dataset in TWO.items():
        features = model(Inputs(rows(specs[dataset], 6), dataset), [task]).features[task]
        assert (features.values.shape[0], features.values.shape[-1]) == (6, 8)  # hierarchical attaches one lower down
        features.values.sum().backward()


def test_settings_out_of_range_are_refused():
    for arguments, words in (
        (([], 4, 0.0, "relu", "default"), "backbone.hidden"),
        (([8], 0, 0.0, "relu", "default"), "backbone.embedding is 0"),
        (([8], 4, 1.0, "relu", "default"), "dropout is 1.0"),
    ):
        with pytest.raises(ValueError, match=words):
            Tabular(*arguments)
    for arguments in ((8, 0, 2, 1.0), (8, 2, 3, 1.0), (8, 2, 2, 0.0)):
        with pytest.raises(ValueError, match="backbone"):
            FTTransformer(*arguments, 0.0, 0.0, 0.0, "default")


def test_a_joined_table_is_as_wide_as_its_parts():
    assert JoinedTable(SPEC, 4, 8).project.in_features == 5 + 2 * 4
