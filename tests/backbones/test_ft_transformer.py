"""The transformer over columns, against its equations written out (Gorishniy et al., NeurIPS 2021, section 3.3)."""

import torch
from torch.nn import functional as F

from mtl_cli.batch import Inputs
from mtl_cli.features import run_stages
from tests.backbones.test_tabular import SPEC, factory, transformer
from tests.sharing._inputs import tables


def attention(state, query, keys, heads=2):
    width = keys.shape[-1]
    weights, biases = state["attention.in_proj_weight"].chunk(3), state["attention.in_proj_bias"].chunk(3)
    q, k, v = (
        F.linear(x, w, b).unflatten(-1, (heads, -1)).transpose(1, 2)
        for x, w, b in zip((query, keys, keys), weights, biases, strict=True)
    )
    scores = torch.softmax(q @ k.transpose(2, 3) / (width // heads) ** 0.5, dim=-1)
    mixed = (scores @ v).transpose(1, 2).flatten(2)
    return F.linear(mixed, state["attention.out_proj.weight"], state["attention.out_proj.bias"])


def norm(state, name, x):
    return F.layer_norm(x, x.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"])


def block(state, x, first, last):
    normed = x if first else norm(state, "attention_norm", x)
    x = x[:, :1] if last else x
    x = x + attention(state, normed[:, : x.shape[1]], normed)
    a, b = F.linear(norm(state, "ffn_norm", x), state["widen.weight"], state["widen.bias"]).chunk(2, dim=-1)
    x = x + F.linear(a * F.relu(b), state["narrow.weight"], state["narrow.bias"])
    return F.relu(norm(state, "out_norm", x[:, 0])) if last else x


def test_stages_are_the_papers_equations():
    stages = factory(transformer(3))().eval()
    values, state = tables(6), stages.state_dict()
    stem = {key.removeprefix("0.stems.one."): value for key, value in state.items() if key.startswith("0.")}
    table, categorical = stem["embed.table.weight"], values["categorical"]
    tokens = [values["numeric"][:, j, None] * stem["weight"][j] + stem["bias"][j] for j in range(5)]
    tokens += [table[categorical[:, j] + start] + stem["bias"][5 + j] for j, start in ((0, 0), (1, 4))]
    x = torch.stack([stem["cls"].expand(6, -1), *tokens], dim=1)
    torch.testing.assert_close(run_stages(stages[:1], Inputs(values, "one")).values, x)
    for index in (1, 2, 3):
        own = {key.removeprefix(f"{index}."): value for key, value in state.items() if key.startswith(f"{index}.")}
        x = block(own, x, index == 1, index == 3)
    torch.testing.assert_close(run_stages(stages, Inputs(values, "one")).values, x, rtol=1e-5, atol=1e-5)


def test_one_block_is_first_and_last():
    made = factory(transformer(1))
    assert made.names == ["stem", "block1"]
    assert [spec.shape for spec in made.specs] == [(8, 8), (8,)]


def test_the_order_of_columns_does_not_matter():
    one = factory(transformer(2))().eval()
    two = factory(transformer(2))().eval()
    order = torch.tensor([3, 0, 4, 1, 2])
    tokenizer = two[0].stems["one"]
    with torch.no_grad():
        tokenizer.weight.copy_(tokenizer.weight[order])
        tokenizer.bias[:5] = tokenizer.bias[order].clone()
    values = tables(4)
    moved = {**values, "numeric": values["numeric"][:, order]}
    left = run_stages(one, Inputs(values, "one")).values
    torch.testing.assert_close(run_stages(two, Inputs(moved, "one")).values, left, rtol=1e-5, atol=1e-5)


def test_hidden_widths_and_dropouts_are_where_the_yaml_puts_them():
    made = transformer(1)
    assert made.hidden == round(8 * 4 / 3)
    assert SPEC.shape == (7,)
