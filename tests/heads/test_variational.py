import pytest
import torch

from mtl_cli.features import Features, FeatureSpec
from mtl_cli.heads.variational import VariationalHead


@pytest.fixture
def head():
    torch.manual_seed(0)
    return VariationalHead(3, [8, 4]).build(FeatureSpec((6,), image=(10, 8)), 2)


def test_latent_numbers_are_drawn_around_their_mean_in_training(head):
    features = Features(torch.randn(1, 6).expand(4000, 6))
    seen = []
    head.decoder.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    out = head.train()(features)
    mean, std = out["mean"][0], (out["log_variance"][0] / 2).exp()
    torch.testing.assert_close(seen[0].mean(dim=0), mean, rtol=0, atol=4 * std.max().item() / 4000**0.5)
    torch.testing.assert_close(seen[0].std(dim=0), std, rtol=0.1, atol=0)


def test_an_evaluation_takes_the_mean(head):
    features = Features(torch.randn(5, 6))
    out = head.eval()(features)
    assert torch.equal(out["image"], head.decoder(out["mean"]))
    assert torch.equal(out["image"], head(features)["image"])


def test_images_are_made_up_from_standard_normal_numbers(head):
    out = head.drawn(7, torch.Generator().manual_seed(5))
    latent = torch.randn(7, 3, generator=torch.Generator().manual_seed(5))
    assert torch.equal(out["image"], head.decoder(latent))
    assert out["image"].shape == (7, 2, 10, 8)


def test_no_latent_number_is_refused():
    with pytest.raises(ValueError, match=r"head.latent is 0; .* Use head.latent=16"):
        VariationalHead(0)
