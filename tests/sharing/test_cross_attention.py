import math

import pytest
import torch
from torch.nn import functional as F

from mtl_cli.batch import Inputs
from tests.sharing._inputs import ONE, TWO, factory, ids, inputs, sharing
from tests.sharing._reference import NETS, TASKS, assert_equals, randomised


def attention(w, prefix, query, keys, padded):
    """Multi-head attention with 4 heads, head by head; query [B, L, D], keys [B, K, D], padded [B, K]."""
    width = query.shape[-1]
    size = width // 4
    blocks = [w[f"{prefix}.in_proj_weight"][i * width : (i + 1) * width] for i in range(3)]
    biases = [w[f"{prefix}.in_proj_bias"][i * width : (i + 1) * width] for i in range(3)]
    q, k, v = (of @ block.T + bias for of, block, bias in zip((query, keys, keys), blocks, biases, strict=True))
    heads = []
    for head in range(4):
        part = slice(head * size, (head + 1) * size)
        scores = q[..., part] @ k[..., part].transpose(1, 2) / math.sqrt(size)
        scores = scores.masked_fill(padded[:, None, :], -math.inf)
        heads.append(torch.softmax(scores, dim=-1) @ v[..., part])
    return torch.cat(heads, dim=-1) @ w[f"{prefix}.out_proj.weight"].T + w[f"{prefix}.out_proj.bias"]


@pytest.mark.parametrize("net", NETS)
def test_equals_attention_over_the_features_of_all_tasks(net):
    def reference(net, w, x):
        features = {t: net.trunk(w, f"columns.{t}", x) for t in TASKS}
        if net.kind == "vector":
            tokens = {t: of[:, None, :] for t, of in features.items()}
        elif net.kind == "map":
            tokens = {t: of.permute(0, 2, 3, 1).reshape(len(of), -1, 8) for t, of in features.items()}
        else:
            tokens = features
        keys = torch.cat(list(tokens.values()), dim=1)
        padded = (x == 0).repeat(1, 3) if net.kind == "sequence" else torch.zeros(keys.shape[:2], dtype=torch.bool)
        out = {t: of + attention(w, f"attention.{t}", of, keys, padded) for t, of in tokens.items()}
        if net.kind == "sequence":
            return out
        back = {t: of.transpose(1, 2) for t, of in out.items()}
        return {t: of.reshape(features[t].shape) for t, of in back.items()}

    assert_equals("cross_attention", net, reference)
    assert_equals("cross_attention", net, reference, tasks=("right",))


def test_larger_maps_attend_as_means_and_read_what_is_enlarged():
    mode = randomised(sharing("cross_attention", factory("skips", ONE), grid=3))
    x = inputs("skips", "one", torch.float64)
    weights = dict(mode.named_parameters())
    before = {task: mode.columns[task](x) for task in ONE}
    maps = {task: features.values for task, features in before.items()}
    assert maps["left"].shape[2:] == (6, 6)
    tokens = {task: F.avg_pool2d(of, 2).flatten(2).transpose(1, 2) for task, of in maps.items()}
    keys = torch.cat(list(tokens.values()), dim=1)
    padded = torch.zeros(keys.shape[:2], dtype=torch.bool)
    for task, features in mode(x, ["left", "right"]).features.items():
        read = attention(weights, f"attention.{task}", tokens[task], keys, padded).transpose(1, 2).unflatten(2, (3, 3))
        enlarged = F.interpolate(read, (6, 6), mode="bilinear")
        torch.testing.assert_close(features.values, maps[task] + enlarged)
        assert len(features.skips) == 1
        assert torch.equal(features.skips[0], before[task].skips[0])


def test_maps_within_the_grid_attend_at_every_position():
    whole, within = (sharing("cross_attention", factory("skips", ONE), grid=grid) for grid in (None, 6))
    x = inputs("skips", "one")
    left, right = (mode(x, ["left"]).features["left"].values for mode in (whole, within))
    assert torch.equal(left, right)


def test_a_task_with_a_dataset_to_itself_is_independent_bit_for_bit():
    x = inputs("cnn", "two")
    alone = sharing("cross_attention", factory("cnn", TWO), partners="dataset")
    assert len(alone.attention) == 0
    features = alone(x, ["right"]).features["right"].values
    assert torch.equal(features, sharing("independent", factory("cnn", TWO))(x, ["right"]).features["right"].values)


def test_a_sequence_without_tokens_stays_finite():
    from tests.sharing._reference import reference_factory

    tokens = ids(4)
    tokens[2] = 0
    mode = sharing("cross_attention", reference_factory("sequence"))
    features = mode(Inputs(tokens, "one"), ["left"]).features["left"].values
    assert features.isfinite().all()
    features.sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in mode.parameters())


def test_heads_that_do_not_divide_the_width_are_refused_with_those_that_do():
    message = r"sharing.num_heads is 5; .* 16\. Use sharing.num_heads=4 \(valid: 1, 2, 4, 8, 16\)"
    with pytest.raises(ValueError, match=message):
        sharing("cross_attention", factory("mlp", ONE), num_heads=5)


def test_dropout_and_partners_out_of_range_are_refused():
    with pytest.raises(ValueError, match=r"dropout is 1\.5"):
        sharing("cross_attention", factory("mlp", ONE), dropout=1.5)
    with pytest.raises(ValueError, match=r"sharing\.grid is 0; .* Use sharing\.grid=16"):
        sharing("cross_attention", factory("mlp", ONE), grid=0)
    with pytest.raises(ValueError, match=r"sharing\.partners is 'some'"):
        sharing("cross_attention", factory("mlp", ONE), partners="some")
