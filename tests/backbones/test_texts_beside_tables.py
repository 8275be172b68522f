"""Texts with table columns: one vector more in every piece's, whatever the padding, order and company of rows."""

import pytest
import torch

from mtl_cli.backbones.base import BackboneFactory
from mtl_cli.backbones.ft_transformer import FTTransformer
from mtl_cli.backbones.hf import HF, WholeEncoder
from mtl_cli.backbones.mixed import Mixed
from mtl_cli.backbones.mlp import MLP
from mtl_cli.backbones.tabular import Tabular
from mtl_cli.batch import Inputs, InputSpec
from mtl_cli.features import pool, run_stage
from tests.backbones._tiny_bert import TINY_BERT, tiny_bert
from tests.backbones.test_text_base import BACKBONES, LENGTHS, batch, features
from tests.sharing._inputs import backbone

TABLE = InputSpec("table", (4,), (5, 3))
MIXED = Mixed([10, 8], [4, 4], 3, 0.1, "relu", "default")
NAMES = [*BACKBONES, "hf", "hf in one stage", "mixed"]
every = pytest.mark.parametrize("name", NAMES)


def beside(lengths, width):
    """Return texts of these lengths, padded to `width`, with two numbers and two categories each."""
    stream = torch.Generator().manual_seed(7)
    numeric = torch.randn(len(lengths), 2, generator=stream)
    categorical = torch.stack([torch.randint(size, (len(lengths),), generator=stream) for size in (5, 3)], dim=1)
    return {**batch(lengths, width), "numeric": numeric, "categorical": categorical}


def taken(values, rows, width=None):
    return {k: v[rows] if k in ("numeric", "categorical") else v[rows, :width] for k, v in values.items()}


@pytest.fixture(scope="module")
def make(tmp_path_factory):
    """What makes the stages of a backbone, for texts with columns or for texts alone."""
    from transformers import AlbertConfig, AlbertModel

    folder = str(tmp_path_factory.mktemp("albert"))
    sizes = {"hidden_size": 8, "embedding_size": 4, "num_attention_heads": 2, "intermediate_size": 16, "vocab_size": 30}
    torch.manual_seed(0)
    AlbertModel(AlbertConfig(**sizes, num_hidden_layers=2)).save_pretrained(folder)
    paths = {"hf": tiny_bert(), "hf in one stage": folder}

    def stages(name, columns=True):
        spec = InputSpec("text_table" if columns else "text", (), (30,), paths.get(name), TABLE if columns else None)
        recipe = HF(paths[name]) if name in paths else MIXED if name == "mixed" else BACKBONES[name]
        example = Inputs(beside([6, 3], 6) if columns else batch([6, 3], 6), "a")
        return BackboneFactory(recipe, {"a": example}, {"a": spec}, {"t": "a"}, 0)

    return stages


@every
def test_padding_changes_nothing_at_any_stage(name, make):
    stages = make(name)().eval()
    short, long = features(stages, beside(LENGTHS, 7)), features(stages, beside(LENGTHS, 19))
    for one, other in zip(short, long, strict=True):
        torch.testing.assert_close(pool(one), pool(other), rtol=0, atol=1e-5)
        if one.mask is not None:
            torch.testing.assert_close(one.values[one.mask], other.values[other.mask], rtol=0, atol=1e-5)


@every
def test_order_and_company_of_rows_change_nothing(name, make):
    stages = make(name)().eval()
    values = beside(LENGTHS, 7)
    whole = pool(features(stages, values)[-1])
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    torch.testing.assert_close(pool(features(stages, taken(values, order))[-1]), whole[order], rtol=0, atol=1e-5)
    for row, length in enumerate(LENGTHS):
        alone = pool(features(stages, taken(values, slice(row, row + 1), length))[-1])
        torch.testing.assert_close(alone[0], whole[row], rtol=0, atol=1e-5)


@every
def test_shapes_and_masks_are_those_of_texts_alone(name, make):
    assert make(name).specs == make(name, columns=False).specs


@every
def test_without_weights_of_columns_all_is_as_for_texts_alone(name, make):
    stages, alone = make(name)().eval(), make(name, columns=False)().eval()
    state = stages.state_dict()
    new = [key for key in state if ".columns." in key or ".parts.1." in key]
    renamed = {key.replace(".text.", ".").replace(".parts.0.", "."): state[key] for key in state if key not in new}
    alone.load_state_dict(renamed)
    with torch.no_grad():
        for key, parameter in stages.named_parameters():
            if key in new:
                parameter.zero_()
    for one, other in zip(features(stages, beside(LENGTHS, 7)), features(alone, batch(LENGTHS, 7)), strict=True):
        torch.testing.assert_close(pool(one), pool(other), rtol=0, atol=1e-5)


@every
def test_every_column_changes_its_own_row_only(name, make):
    stages = make(name)().eval()
    values = beside(LENGTHS, 7)
    before = pool(features(stages, values)[-1])
    for key, column in (("numeric", 0), ("numeric", 1), ("categorical", 0), ("categorical", 1)):
        changed = {**values, key: values[key].clone()}
        changed[key][2, column] = values[key][2, column] + 1 if key == "numeric" else (values[key][2, column] + 1) % 3
        moved = (pool(features(stages, changed)[-1]) - before).abs().amax(dim=1)
        assert moved[2] > 1e-5
        assert moved[[0, 1, 3, 4, 5]].max() < 1e-6


@every
def test_every_parameter_is_trained(name, make):
    stages = make(name)()
    x = Inputs(beside(LENGTHS, 7), "a")
    for stage in stages:
        x = run_stage(stage, x)
    x.values.square().sum().backward()
    without = [key for key, parameter in stages.named_parameters() if parameter.grad is None]
    assert not [key for key in without if "pooler" not in key and not (name == "hf in one stage" and "word" in key)]


def test_a_piece_gets_the_sum_of_what_its_columns_say(make):
    stem = make("gru")()[0].eval().stems["a"]
    values = beside(LENGTHS, 7)
    weight, table = stem.columns.numeric, stem.columns.embed
    numbers = values["numeric"] @ weight.weight.T + weight.bias
    first, second = values["categorical"].T
    wanted = numbers + table.table.weight[first] + table.table.weight[5 + second]
    found = stem(values).values - stem.text(values).values
    torch.testing.assert_close(found, wanted[:, None].expand_as(found), rtol=0, atol=1e-6)
    assert 0.3 < found.std() / stem.text(values).values.std() < 3
    assert not table.table.weight[[0, 5]].any(), "unknown categories start at zero"


def test_an_encoder_of_one_stage_takes_vectors_as_it_takes_pieces(make):
    stem = make("hf in one stage")()[0].eval().stems["a"]
    assert isinstance(stem, WholeEncoder)
    assert stem.columns.numeric.out_features == 4


@pytest.mark.parametrize(
    "recipe",
    [
        Tabular([8], 3, 0.0, "relu", "default"),
        FTTransformer(8, 1, 2, 1.0, 0.0, 0.0, 0.0, "default"),
        MLP([8], 0.0, "relu", "default"),
    ],
)
def test_backbones_of_tables_refuse_texts_and_name_one_that_fits(recipe):
    with pytest.raises(ValueError, match=r"'a' has text_table inputs\. Use backbone=gru, .*backbone=mixed"):
        recipe.common_input({"a": InputSpec("text_table", (), (30,), None, TABLE)})


def test_images_refuse_texts():
    with pytest.raises(ValueError, match="text_table inputs"):
        backbone("cnn").common_input({"a": InputSpec("text_table", (), (30,), TINY_BERT, TABLE)})
