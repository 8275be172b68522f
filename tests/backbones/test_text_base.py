"""Backbones of texts: neither padding nor the order or company of rows changes a result; each stage has its spec."""

import pytest
import torch

from mtl_cli.backbones.base import BackboneFactory
from mtl_cli.backbones.gru import GRU
from mtl_cli.backbones.lstm import LSTM
from mtl_cli.backbones.text_cnn import TextCNN
from mtl_cli.backbones.transformer import Transformer
from mtl_cli.batch import Inputs, InputSpec
from mtl_cli.features import FeatureSpec, pool, run_stage
from mtl_cli.heads.tokens import TokenHead

SPEC = InputSpec("text", (), (30,))


def text_cnn(**changes):
    options = {"embedding": 8, "num_filters": 5, "widths": [2, 3, 4], "num_layers": 2, "last": "max", "dropout": 0.1}
    return TextCNN(**options | {"activation": "relu", "init": "default"} | changes)


BACKBONES = {
    "gru": GRU(8, 12, 2, 0.1, "default"),
    "lstm": LSTM(8, 12, 2, 0.1, "default"),
    "transformer": Transformer(12, 3, 2, 2, 0.1, "default"),
    "text_cnn": text_cnn(),
    "text_cnn of tokens": text_cnn(last="conv"),
}
every = pytest.mark.parametrize("name", BACKBONES)


def batch(lengths, width, seed=0):
    """Return texts of these lengths, padded to `width`; the first ones are the same whatever the width."""
    stream = torch.Generator().manual_seed(seed)
    ids = torch.zeros(len(lengths), width, dtype=torch.int64)
    for row, length in enumerate(lengths):
        ids[row, :length] = torch.randint(1, 30, (length,), generator=stream)
    return {"ids": ids, "mask": torch.arange(width) < torch.tensor(lengths)[:, None]}


def factory(name, specs=None):
    specs = specs or {"a": SPEC}
    examples = {dataset: Inputs(batch([6, 3], 6), dataset) for dataset in specs}
    return BackboneFactory(BACKBONES[name], examples, specs, {dataset: dataset for dataset in specs}, 0)


def features(stages, values):
    """Return the features after every stage."""
    found = []
    x = Inputs(values, "a")
    with torch.no_grad():
        for stage in stages:
            x = run_stage(stage, x)
            found.append(x)
    return found


LENGTHS = [1, 7, 4, 2, 7, 5]


@every
def test_padding_changes_nothing_at_any_stage(name):
    stages = factory(name)().eval()
    short, long = features(stages, batch(LENGTHS, 7)), features(stages, batch(LENGTHS, 19))
    for index, (one, other) in enumerate(zip(short, long, strict=True)):
        torch.testing.assert_close(pool(one), pool(other), rtol=0, atol=1e-5, msg=lambda text, i=index: f"{i}: {text}")
        if one.mask is not None:
            torch.testing.assert_close(one.values[one.mask], other.values[other.mask], rtol=0, atol=1e-5)


@every
def test_what_stands_in_the_padding_changes_nothing(name):
    stages = factory(name)().eval()
    plain = batch(LENGTHS, 9)
    filled = {**plain, "ids": torch.where(plain["mask"], plain["ids"], 17)}
    torch.testing.assert_close(pool(features(stages, plain)[-1]), pool(features(stages, filled)[-1]), rtol=0, atol=1e-5)


@every
def test_order_and_company_of_rows_change_nothing(name):
    stages = factory(name)().eval()
    values = batch(LENGTHS, 7)
    whole = pool(features(stages, values)[-1])
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    turned = pool(features(stages, {key: value[order] for key, value in values.items()})[-1])
    torch.testing.assert_close(turned, whole[order], rtol=0, atol=1e-5)
    for row, length in enumerate(LENGTHS):
        alone = pool(features(stages, {key: value[row : row + 1, :length] for key, value in values.items()})[-1])
        torch.testing.assert_close(alone[0], whole[row], rtol=0, atol=1e-5)


@every
def test_words_are_not_a_bag_without_order(name):
    stages = factory(name)().eval()
    values = batch([6], 6)
    turned = {**values, "ids": values["ids"].flip(1)}
    difference = pool(features(stages, values)[-1]) - pool(features(stages, turned)[-1])
    assert difference.abs().max() > 1e-3


@every
def test_specs_are_those_of_the_features_for_datasets_with_other_vocabularies(name):
    made = factory(name, {"a": SPEC, "b": InputSpec("text", (), (50,))})
    assert made.names[0] == "stem"
    assert len(made.specs) == len(made.names) >= 3
    for found, spec in zip(features(made().eval(), batch([6, 3], 6)), made.specs, strict=True):
        assert FeatureSpec.of(found) == spec
    tables = {key: value.shape for key, value in made().state_dict().items() if "table" in key}
    assert {shape[0] for shape in tables.values()} == {30, 50}


@every
def test_every_parameter_is_trained(name):
    stages = factory(name)()
    x = Inputs(batch(LENGTHS, 7), "a")
    for stage in stages:
        x = run_stage(stage, x)
    x.values.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in stages.parameters())


@every
def test_other_inputs_are_refused(name):
    with pytest.raises(ValueError, match=r"'a' has image inputs \(1, 8, 8\)\. Use backbone=cnn, .*backbone=mixed"):
        BACKBONES[name].common_input({"a": InputSpec("image", (1, 8, 8))})


def test_a_head_on_tokens_reads_what_the_convolutions_keep():
    spec = factory("text_cnn of tokens").specs[-1]
    values = features(factory("text_cnn of tokens")(), batch([4, 2], 4))[-1]
    assert TokenHead([4]).build(spec, 3)(values).shape == (2, 4, 3)


def test_a_window_sees_its_neighbours_only():
    conv = factory("text_cnn of tokens", None)().eval()
    values = batch([9], 9)
    changed = {**values, "ids": values["ids"].clone()}
    changed["ids"][0, 8] = 29 - changed["ids"][0, 8]
    first, second = features(conv, values)[1].values, features(conv, changed)[1].values
    moved = (first != second).any(dim=-1)[0]
    assert moved.tolist() == [False] * 6 + [True] * 3  # windows of 4: one to the left, two to the right


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GRU(8, 11, 2, 0.0, "default"), "Use 12"),
        (lambda: LSTM(0, 12, 2, 0.0, "default"), "backbone.embedding is 0"),
        (lambda: Transformer(10, 4, 2, 2, 0.0, "default"), "multiple of backbone.num_heads=4"),
        (lambda: text_cnn(widths=[3, 3]), "each once"),
        (lambda: text_cnn(last="mean"), "Use backbone.last=max"),
        (lambda: GRU(8, 12, 2, 1.5, "default"), "dropout is 1.5"),
    ],
)
def test_options_that_do_not_fit_are_told(make, message):
    with pytest.raises(ValueError, match=message):
        make()
