"""Backbones of sounds: neither padding nor the company of rows changes a result; frames are joined as is said."""

import pytest
import torch

from mtl_cli.backbones.base import BackboneFactory
from mtl_cli.backbones.gru import GRU
from mtl_cli.backbones.speech import Speech
from mtl_cli.backbones.text_cnn import TextCNN
from mtl_cli.backbones.transformer import Transformer
from mtl_cli.batch import Inputs, InputSpec
from mtl_cli.features import FeatureSpec, pool, run_stage
from tests.backbones._inputs import mlp

SPEC = InputSpec("sound", (9,))
LENGTHS = [1, 23, 8, 17]


def speech(**changes):
    options = {"width": 12, "num_heads": 3, "hidden_factor": 2, "num_layers": 2, "kernel": 5, "filters": 4}
    return Speech(**options | {"subsampling": 4, "dropout": 0.1, "init": "default"} | changes)


BACKBONES = {
    "speech": speech(),
    "speech of every frame": speech(subsampling=1),
    "speech of every eighth": speech(subsampling=8),
    "gru": GRU(8, 12, 2, 0.1, "default"),
    "transformer": Transformer(12, 3, 2, 2, 0.1, "default"),
    "text_cnn": TextCNN(8, 5, [2, 3], 2, "max", 0.1, "relu", "default"),
}
every = pytest.mark.parametrize("name", BACKBONES)


def batch(lengths, width, seed=0):
    stream = torch.Generator().manual_seed(seed)
    frames = torch.zeros(len(lengths), width, 9)
    for row, length in enumerate(lengths):
        frames[row, :length] = torch.randn(length, 9, generator=stream)
    return {"frames": frames, "mask": torch.arange(width) < torch.tensor(lengths)[:, None]}


def factory(name):
    return BackboneFactory(BACKBONES[name], {"a": Inputs(batch([8, 3], 8), "a")}, {"a": SPEC}, {"a": "a"}, 0)


def features(stages, values):
    found, x = [], Inputs(values, "a")
    with torch.no_grad():
        for stage in stages:
            x = run_stage(stage, x)
            found.append(x)
    return found


@every
def test_padding_and_what_stands_in_it_change_nothing_at_any_stage(name):
    stages = factory(name)().eval()
    short, long = batch(LENGTHS, 23), batch(LENGTHS, 40)
    long["frames"] = torch.where(long["mask"].unsqueeze(-1), long["frames"], 7.0)
    for one, other in zip(features(stages, short), features(stages, long), strict=True):
        torch.testing.assert_close(pool(one), pool(other), rtol=0, atol=1e-5)
        if one.mask is not None:
            torch.testing.assert_close(one.values[one.mask], other.values[other.mask], rtol=0, atol=1e-5)


@every
def test_a_clip_alone_is_as_in_company(name):
    stages = factory(name)().eval()
    whole = pool(features(stages, batch(LENGTHS, 23))[-1])
    values = batch(LENGTHS, 23)
    for row, length in enumerate(LENGTHS):
        alone = pool(features(stages, {key: value[row : row + 1, :length] for key, value in values.items()})[-1])
        torch.testing.assert_close(alone[0], whole[row], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("factor", "left"), [(1, [1, 23, 8, 17]), (2, [1, 12, 4, 9]), (4, [1, 6, 2, 5]), (8, [1, 3, 1, 3])]
)
def test_frames_are_joined(factor, left):
    made = BackboneFactory(speech(subsampling=factor), {"a": Inputs(batch([8, 3], 8), "a")}, {"a": SPEC}, {"a": "a"}, 0)
    assert made.names == ["stem", "join", "layer1", "layer2"]
    found = features(made().eval(), batch(LENGTHS, 23))
    assert found[0].mask.sum(dim=1).tolist() == LENGTHS
    assert found[-1].mask.sum(dim=1).tolist() == left
    assert made.specs[-1] == FeatureSpec((max(1, 8 // factor), 12), masked=True)


def test_a_joined_frame_sees_its_neighbourhood_only():
    stages = factory("speech")().eval()
    values = batch([40], 40)
    changed = {**values, "frames": values["frames"].clone()}
    changed["frames"][0, 20] += 3.0
    first, second = features(stages, values)[1].values, features(stages, changed)[1].values
    moved = (first != second).any(dim=-1)[0].nonzero().flatten().tolist()
    assert moved == [5]  # a frame at 4·k sees 4·k − 3 … 4·k + 3


@every
def test_every_parameter_is_trained(name):
    stages = factory(name)()
    x = Inputs(batch(LENGTHS, 23), "a")
    for stage in stages:
        x = run_stage(stage, x)
    x.values.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in stages.parameters())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"subsampling": 3}, "one of 1, 2, 4, 8"),
        ({"kernel": 4}, "it is odd"),
        ({"width": 10}, "multiple of backbone.num_heads=3"),
        ({"filters": 0}, "backbone.filters is 0"),
        ({"dropout": 2.0}, "dropout is 2"),
    ],
)
def test_options_that_do_not_fit_are_told(changes, message):
    with pytest.raises(ValueError, match=message):
        speech(**changes)


def test_other_inputs_are_refused():
    message = r"backbone=speech takes sound inputs; dataset 'a' has text inputs.*backbone=gru"
    with pytest.raises(ValueError, match=message):
        speech().common_input({"a": InputSpec("text", (), (4,))})
    with pytest.raises(ValueError, match=r"dataset 'a' has sound inputs \(9,\)\. Use backbone=gru, .*backbone=speech"):
        mlp().common_input({"a": SPEC})
