import pytest
import torch
from torch import nn

from mtl_cli.backbones import resnet
from mtl_cli.backbones.resnet import ResNet
from mtl_cli.batch import Inputs, InputSpec
from mtl_cli.errors import UserError
from mtl_cli.features import run_stages
from tests.backbones._inputs import factory

models = pytest.importorskip("torchvision.models")  # after mtl_cli, which lets it be imported


def made(shape=(3, 40, 33), **changes):
    arguments = {"depth": 18, "weights": None, "norm": "group", "fpn": None, "init": "default"}
    return factory(ResNet(**{**arguments, **changes}), {"a": InputSpec("image", shape)})


@pytest.fixture(scope="module")
def reference():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = models.resnet18()
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 2)
        return network.eval()


@pytest.fixture(scope="module")
def weights(reference, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "resnet18.pth"
    torch.save(reference.state_dict(), path)
    return str(path)


@pytest.mark.parametrize("norm", ["batch", "frozen"])
def test_with_its_weights_it_is_torchvisions_network(norm, reference, weights):
    images = torch.randn(2, 3, 40, 33)
    found = run_stages(made(weights=weights, norm=norm)().eval(), Inputs(images, "a")).values
    trunk = nn.Sequential(*list(reference.children())[:-2])
    torch.testing.assert_close(found, trunk(images), rtol=1e-4, atol=1e-5)


def test_frozen_statistics_stay_in_training(weights):
    stages = made(weights=weights, norm="frozen")().train()
    before = {name: value.clone() for name, value in stages.state_dict().items() if "running" in name}
    run_stages(stages, Inputs(torch.randn(2, 3, 40, 33), "a"))
    assert before
    assert all(torch.equal(value, stages.state_dict()[name]) for name, value in before.items())


def test_stages_are_named_and_maps_shrink():
    backbone = made(shape=(3, 64, 64))
    assert backbone.names == ["stem", "conv1", "layer1", "layer2", "layer3", "layer4"]
    assert [spec.shape for spec in backbone.specs[1:]] == [
        (64, 16, 16), (64, 16, 16), (128, 8, 8), (256, 4, 4), (512, 2, 2),
    ]  # fmt: skip
    assert backbone.specs[-1].skips == (), "no stage and no head reads them"


def test_grey_images_give_what_they_give_in_three_channels(reference, weights):
    grey = torch.randn(2, 1, 40, 33)
    one = run_stages(made((1, 40, 33), weights=weights, norm="frozen")().eval(), Inputs(grey, "a")).values
    three = run_stages(made(weights=weights, norm="frozen")().eval(), Inputs(grey.repeat(1, 3, 1, 1), "a")).values
    torch.testing.assert_close(one, three, rtol=1e-4, atol=1e-4)
    kernel = made((5, 40, 33), weights=weights, norm="frozen")()[1][0].weight
    wanted = reference.conv1.weight[:, [0, 1, 2, 0, 1]] * 0.6
    torch.testing.assert_close(kernel, wanted)


def test_copies_without_weights_differ_and_are_the_same_for_a_seed():
    first, again, other = made()("x", 1, 2), made()("x", 1, 2), made()("y", 1, 2)
    for name, value in first.named_parameters():
        assert torch.equal(value, again.get_parameter(name))
        assert value.ndim < 4 or not torch.equal(value, other.get_parameter(name))


def test_the_pyramid_adds_a_stage_that_reads_every_layer():
    backbone = made(shape=(3, 64, 64), fpn=16)
    assert backbone.names[-1] == "fpn"
    assert [len(spec.skips) for spec in backbone.specs] == [0, 0, 0, 1, 2, 3, 0]
    assert backbone.specs[-1].shape == (16, 16, 16)


def test_weights_that_do_not_fit_are_named(weights, tmp_path):
    with pytest.raises(ValueError, match=r"backbone.weights do not fit the network: .*is missing.*=null"):
        made(depth=34, weights=weights, norm="batch")
    (tmp_path / "broken.pth").write_bytes(b"no")
    with pytest.raises(ValueError, match="from which no weights can be read"):
        made(weights=str(tmp_path / "broken.pth"), norm="batch")
    with pytest.raises(ValueError, match=r"is not a file. Give a .safetensors file or a state dict"):
        made(weights=str(tmp_path / "absent.pth"), norm="batch")


def test_safetensors_and_files_that_hold_more_are_read(reference, weights, tmp_path):
    from safetensors.torch import save_file

    save_file(reference.state_dict(), tmp_path / "w.safetensors")
    inside = {"state_dict": {f"module.{name}": value for name, value in reference.state_dict().items()}, "epoch": 3}
    torch.save(inside, tmp_path / "w.pt")
    images = Inputs(torch.randn(1, 3, 40, 33), "a")
    wanted = run_stages(made(weights=weights, norm="batch")().eval(), images).values
    for name in ("w.safetensors", "w.pt"):
        found = run_stages(made(weights=str(tmp_path / name), norm="batch")().eval(), images).values
        assert torch.equal(found, wanted)


def test_without_a_network_it_says_where_the_file_must_lie(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def offline(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    place = tmp_path / "hub" / "checkpoints" / "resnet18-"
    with pytest.raises(UserError, match=rf"cannot be fetched \(no route to host\). Put that file at {place}"):
        resnet.torchvision_weights("resnet18")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"depth": 20}, "it is one of 18, 34, 50, 101, 152"),
        ({"norm": "layer"}, "It is one of batch, frozen, group"),
        ({"weights": "torchvision"}, "Use backbone.norm=frozen"),
        ({"norm": "frozen"}, "Use backbone.norm=group, or backbone.weights=FILE"),
        ({"fpn": 0}, "Use backbone.fpn=64"),
    ],
)
def test_settings_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        made(**changes)
