import pytest
import torch

from mtl_cli.features import Features, FeatureSpec
from mtl_cli.heads.centers import CenterHead


@pytest.mark.parametrize(("stride", "size"), [(4, (16, 12)), (1, (64, 48)), (8, (8, 6)), (2, (32, 24))])
def test_positions_are_stride_pixels_apart(stride, size):
    features = Features(torch.randn(2, 6, 64, 48))
    spec = FeatureSpec((6, 64, 48), image=(64, 48))
    out = CenterHead(8, stride).build(spec, 3)(features)
    assert {name: tuple(each.shape) for name, each in out.items()} == {
        "heat": (2, 3, *size), "size": (2, 2, *size), "offset": (2, 2, *size), "stride": (2,),
    }  # fmt: skip
    assert out["stride"].tolist() == [stride, stride]


def test_coarser_maps_keep_their_own_stride():
    out = CenterHead(8, 4).build(FeatureSpec((6, 8, 6), image=(64, 48)), 3)(Features(torch.randn(2, 6, 8, 6)))
    assert out["heat"].shape == (2, 3, 8, 6)
    assert out["stride"].tolist() == [8.0, 8.0]


def test_objects_are_rare_at_first():
    head = CenterHead(8, 4).build(FeatureSpec((6, 64, 48), image=(64, 48)), 3)
    out = head(Features(torch.zeros(1, 6, 64, 48)))
    torch.testing.assert_close(out["heat"].sigmoid().mean(), torch.tensor(0.1), atol=0.05, rtol=0)


def test_values_out_of_range_are_refused():
    with pytest.raises(ValueError, match=r"head.stride 3; .*a power of two. Use head.hidden=32 head.stride=4"):
        CenterHead(8, 3)
