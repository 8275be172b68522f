import pytest
import torch

from mtl_cli.backbones.timm import Timm
from mtl_cli.batch import Inputs, InputSpec
from mtl_cli.errors import UserError
from mtl_cli.features import run_stages
from tests.backbones._inputs import factory

timm = pytest.importorskip("timm")


def made(shape=(3, 40, 36), **changes):
    arguments = {"model": "test_resnet", "weights": None, "fpn": None, "init": "default"}
    return factory(Timm(**{**arguments, **changes}), {"a": InputSpec("image", shape)})


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "w.pth"
    with torch.random.fork_rng():
        torch.manual_seed(1)
        torch.save(timm.create_model("test_resnet").state_dict(), path)
    return str(path)


def test_stages_one_by_one_are_the_model_with_its_weights(weights):
    images = torch.randn(2, 3, 40, 36)
    full = timm.create_model("test_resnet").eval()
    full.load_state_dict(torch.load(weights, weights_only=True))
    backbone = made(weights=weights)
    assert backbone.names == ["stem", "stage1", "stage2", "stage3", "stage4", "stage5"]
    found = run_stages(backbone().eval(), Inputs(images, "a")).values
    torch.testing.assert_close(found, full.forward_features(images), rtol=1e-4, atol=1e-5)


def test_a_model_that_is_no_chain_is_one_stage_with_its_maps_as_skips():
    backbone = made(shape=(3, 64, 48), model="test_efficientnet", fpn=8)
    assert backbone.names == ["stem", "features", "fpn"]
    assert [len(spec.skips) for spec in backbone.specs] == [0, 4, 0]
    assert backbone.specs[-1].shape == (8, 32, 24)


def test_the_pyramid_joins_all_stages():
    backbone = made(fpn=8)
    assert [len(spec.skips) for spec in backbone.specs] == [0, 0, 1, 2, 3, 4, 0]
    assert backbone.specs[-1].shape == (8, 20, 18)


def test_images_of_any_number_of_channels(weights):
    for channels in (1, 5):
        assert made((channels, 40, 36), weights=weights).specs[-1].width == 96


def test_copies_without_weights_differ_and_are_the_same_for_a_seed():
    first, again, other = (made()(copy, 2, 2).state_dict() for copy in "xxy")
    assert all(torch.equal(value, again[name]) for name, value in first.items())
    assert any(not torch.equal(value, other[name]) for name, value in first.items() if value.ndim == 4)


def test_what_is_unknown_is_named(weights, tmp_path):
    with pytest.raises(UserError, match=r"'test_resnat', which timm .* does not have. Did you mean 'test_resnet'"):
        made(model="test_resnat")
    with pytest.raises(UserError, match=r"cannot be built: .*backbone.weights=null to train from scratch"):
        made(model="test_convnext", weights=weights)
    with pytest.raises(UserError, match=r"is not a file"):
        made(weights=str(tmp_path / "absent.safetensors"))


def test_weights_from_the_hub_need_the_hub(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(UserError, match=r"backbone.weights=timm cannot be built: .*backbone.weights=FILE"):
        made(weights="timm", model="test_resnet.r160_in1k")
