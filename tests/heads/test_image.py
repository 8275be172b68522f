import pytest
import torch

from mtl_cli.features import Features, FeatureSpec, pool
from mtl_cli.heads.image import ImageHead


@pytest.mark.parametrize("shape", [(6,), (5, 6), (6, 3, 2)])
def test_images_are_decoded_from_the_pooled_features(shape):
    features = Features(torch.randn(2, *shape))
    head = ImageHead([8, 4]).build(FeatureSpec(shape, image=(10, 8)), 3)
    assert head(features).shape == (2, 3, 10, 8)
    torch.testing.assert_close(head(features), head(Features(pool(features))))


def test_a_size_that_is_not_known_and_widths_that_are_none_are_refused():
    with pytest.raises(ValueError, match=r"needs to know their size"):
        ImageHead().build(FeatureSpec((6,)), 3)
    with pytest.raises(ValueError, match=r"head.hidden is \[\]; .* Use head.hidden=\[64,32,16\]"):
        ImageHead([])


@pytest.mark.slow
def test_shapes_are_learnt_from_what_says_where_they_are_and_not_from_others():
    torch.manual_seed(0)
    places = torch.rand(256, 2) * 8
    axis = torch.arange(12) + 0.5
    disc = (axis[:, None] - places[:, 1, None, None] - 2) ** 2 + (axis - places[:, 0, None, None] - 2) ** 2 < 6
    images = disc.float().unsqueeze(1)
    losses = {}
    for name, given in (("own", places), ("others", places.roll(1, 0))):
        torch.manual_seed(0)
        head = ImageHead([16, 16]).build(FeatureSpec((2,), image=(12, 12)), 1)
        optimizer = torch.optim.Adam(head.parameters(), lr=0.01)
        for _ in range(150):
            loss = (head(Features(given / 8)) - images).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        losses[name] = loss.item() / images.var().item()
    assert losses["own"] < 0.3
    assert losses["others"] > 0.7
