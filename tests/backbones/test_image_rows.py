"""Images with table columns and texts: one vector at every position, of each row's own columns, in every mode."""

import pytest
import torch

from mtl_cli.backbones.base import BackboneFactory
from mtl_cli.backbones.cnn import CNN
from mtl_cli.backbones.mixed import Mixed
from mtl_cli.backbones.unet import UNet
from mtl_cli.batch import Inputs, InputSpec
from mtl_cli.features import pool, run_stages
from tests.sharing._inputs import MODES, sharing

TABLE, TEXT = InputSpec("table", (4,), (5, 3)), InputSpec("text", (), (30,))
SPEC = InputSpec("image_row", (3, 8, 8), table=TABLE, text=TEXT)
RECIPES = {
    "cnn": CNN([4, 6], [8], 0.0, "tanh", "none", "default"),
    "unet": UNet([4, 6], "none", "relu", 0.0, "default"),
    "mixed": Mixed([10, 8], [4, 4], 3, 0.0, "relu", "default"),
}
every = pytest.mark.parametrize("name", RECIPES)


def rows(count=4, length=5):
    stream = torch.Generator().manual_seed(7)
    categorical = torch.stack([torch.randint(size, (count,), generator=stream) for size in (5, 3)], dim=1)
    return {
        "image": torch.randn(count, 3, 8, 8, generator=stream),
        "numeric": torch.randn(count, 2, generator=stream),
        "categorical": categorical,
        "ids": torch.randint(1, 30, (count, length), generator=stream),
        "mask": torch.ones(count, length, dtype=torch.bool),
        "there": torch.ones(count),
    }


def factory(name, specs=None):
    specs = specs or {"a": SPEC}
    examples = {
        dataset: Inputs(rows(2) if spec.kind == "image_row" else torch.randn(2, *spec.shape), dataset)
        for dataset, spec in specs.items()
    }
    return BackboneFactory(RECIPES[name], examples, specs, {f"t{dataset}": dataset for dataset in specs}, 0)


def vectors(stages, values):
    return pool(run_stages(stages, Inputs(values, "a")))


@every
def test_everything_beside_an_image_changes_its_own_row_only(name):
    stages, values = factory(name)().eval(), rows()
    before = vectors(stages, values)
    for key in ("numeric", "categorical", "ids", "there"):
        changed = {**values, key: values[key].clone()}
        changed[key][2] = 0 if key == "there" else (values[key][2] + 1) % 3
        moved = (vectors(stages, changed) - before).abs().amax(dim=1)
        assert moved[2] > 1e-5
        assert moved[[0, 1, 3]].max() < 1e-6


@every
def test_rows_without_columns_do_not_depend_on_what_fills_them(name):
    stages = factory(name)().eval()
    values = {**rows(), "there": torch.zeros(4)}
    other = {**values, "numeric": values["numeric"] + 3, "ids": values["ids"] * 0 + 1}
    torch.testing.assert_close(vectors(stages, values), vectors(stages, other), rtol=0, atol=0)


@every
def test_padding_of_texts_changes_nothing(name):
    stages, values = factory(name)().eval(), rows()
    longer = {key: torch.nn.functional.pad(values[key], (0, 3)) for key in ("ids", "mask")}
    torch.testing.assert_close(vectors(stages, values), vectors(stages, {**values, **longer}))


def test_the_vector_is_the_same_at_every_position_and_has_channels_of_its_own():
    stem, values = factory("cnn")()[0].eval().stems["a"], rows()
    found = stem(values)
    assert found.shape == (4, 3 + 8, 8, 8)
    added = found - torch.nn.functional.pad(values["image"], (0, 0, 0, 0, 0, 8))
    torch.testing.assert_close(added, added[:, :, :1, :1].expand_as(added))


def test_images_alone_share_the_trunk_and_leave_these_channels_empty():
    specs = {"a": SPEC, "b": InputSpec("image", (1, 8, 8))}
    stems = factory("cnn", specs)()[0].stems
    grey = torch.randn(2, 1, 8, 8)
    found = stems["b"](grey)
    assert torch.equal(found[:, :3], grey.repeat(1, 3, 1, 1))
    assert not found[:, 3:].any()
    assert not list(stems["b"].parameters())


def test_pretrained_stages_see_the_image_as_it_is_at_first():
    recipe = CNN([4, 6], [5], 0.0, "tanh", "none", "default")
    recipe.pretrained = True
    common = recipe.common_input({"a": SPEC})
    assert common.shape == (3, 8, 8)
    values = rows()
    torch.testing.assert_close(recipe.stem(SPEC, common).eval()(values), values["image"])


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_every_mode_hands_columns_to_every_task(mode):
    specs = {"a": SPEC, "b": InputSpec("image", (1, 8, 8))}
    model = sharing(mode, factory("cnn", specs)).train()
    out = model(Inputs(rows(), "a"), ["ta"])
    sum(features.values.square().sum() for features in out.features.values()).backward()
    reached = {name for name, each in model.named_parameters() if ".row." in name and each.grad is not None}
    assert any("table" in name for name in reached), reached
    assert any("text" in name for name in reached), reached
