import pytest
import torch
from torch.nn import functional as F

from mtl_cli.features import Features, align
from tests.sharing._reference import NETS, TASKS, assert_equals


def linear(net, w, prefix, x, padding=0):
    weight, bias = w[f"{prefix}.weight"], w[f"{prefix}.bias"]
    return F.conv2d(x, weight, bias, padding=padding) if net.kind == "map" else x @ weight.T + bias


@pytest.mark.parametrize("net", NETS)
def test_equals_masks_on_every_stage_of_a_shared_trunk(net):
    def reference(net, w, x):
        shared = [net.trunk(w, "trunk", x, stages) for stages in (1, 2, 3)]
        out = {}
        for task in TASKS:
            attended = None
            for j, p in enumerate(shared):
                seen = p
                if attended is not None:
                    extracted = linear(net, w, f"extractors.{j - 1}.0", attended, padding=1).clamp(min=0)
                    if net.kind == "map":  # 6×6, 3×3, 1×1 under the trunk's pooling
                        extracted = F.avg_pool2d(extracted, 2 if j == 1 else 3)
                    seen = torch.cat([p, extracted], dim=net.channels)
                hidden = linear(net, w, f"attention.{task}.{j}.g", seen).clamp(min=0)
                attended = torch.sigmoid(linear(net, w, f"attention.{task}.{j}.h", hidden)) * p
            out[task] = attended
        return out

    assert_equals("mtan", net, reference)
    assert_equals("mtan", net, reference, tasks=("third",))


def test_features_of_another_kind_or_length_come_as_their_pooled_vector():
    mask = torch.tensor([[True, True, False]])
    sequence = Features(torch.tensor([[[1.0, 2.0], [3.0, 4.0], [9.0, 9.0]]]), mask)
    assert align(sequence, Features(torch.zeros(1, 5))).values.tolist() == [[2.0, 3.0]]
    other = torch.tensor([[True, False]])
    longer = align(sequence, Features(torch.zeros(1, 2, 7), other))
    assert longer.values.tolist() == [[[2.0, 3.0], [2.0, 3.0]]]
    assert longer.mask is other
    on_map = align(sequence, Features(torch.zeros(1, 4, 1, 2))).values
    assert on_map.tolist() == [[[[2.0, 2.0]], [[3.0, 3.0]]]]
    assert align(sequence, sequence).values is sequence.values
