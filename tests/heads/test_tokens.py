import torch
from torch.nn import functional as F

from mtl_cli.features import Features, FeatureSpec
from mtl_cli.heads.tokens import TokenHead


def test_every_token_goes_through_the_same_layers():
    values = torch.randn(2, 5, 6)
    features = Features(values, torch.rand(2, 5) > 0.3)
    head = TokenHead([4], activation="tanh").build(FeatureSpec.of(features), 3)
    w1, b1, w2, b2 = head.parameters()
    torch.testing.assert_close(head(features), F.linear(torch.tanh(F.linear(values, w1, b1)), w2, b2))


def test_names_of_parameters_are_those_of_earlier_checkpoints():
    head = TokenHead([4, 5]).build(FeatureSpec((7, 6), masked=True), 3)
    assert list(head.state_dict()) == [f"layers.{number}.{what}" for number in (0, 3, 6) for what in ("weight", "bias")]
