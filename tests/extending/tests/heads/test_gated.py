import torch
from mtl_cli.heads.gated import GatedHead
from torch.nn import functional as F

from mtl_cli.features import Features, FeatureSpec


def test_it_equals_torchs_gated_linear_unit():
    head, x = GatedHead().build(FeatureSpec((6,)), 3), torch.randn(4, 6)
    (weight, bias) = head.parameters()
    gates, values = F.linear(x, weight, bias).chunk(2, dim=1)
    torch.testing.assert_close(head(Features(x)), F.glu(torch.cat([values, gates], dim=1), dim=1))
