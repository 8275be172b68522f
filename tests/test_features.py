import pytest
import torch
from torch import nn

from mtl_cli import features as F
from mtl_cli.batch import Inputs
from mtl_cli.features import Features, FeatureSpec

VECTOR, SEQUENCE, MAP = torch.randn(2, 3), torch.randn(2, 5, 3), torch.randn(2, 3, 4, 6)
MASK = torch.tensor([[True, True, False, True, False], [False, False, False, False, False]])
ALL = [Features(VECTOR), Features(SEQUENCE), Features(SEQUENCE, MASK), Features(MAP)]


class Doubles(nn.Module):
    def forward(self, values):
        return 2 * values


class Masked(nn.Module):
    takes_mask = True

    def forward(self, values, mask):
        return values * mask.unsqueeze(-1) if mask is not None else values


class Halves(nn.Module):
    """Keeps every other token."""

    def __init__(self, with_mask):
        super().__init__()
        self.takes_mask = with_mask

    def forward(self, values, mask=None):
        return Features(values[:, ::2], mask[:, ::2]) if self.takes_mask else values[:, ::2]


@pytest.mark.parametrize(
    ("features", "kind", "width", "shape"),
    [(ALL[0], "vector", 3, (3,)), (ALL[2], "sequence", 3, (5, 3)), (ALL[3], "map", 3, (3, 4, 6))],
)
def test_specs_say_kind_width_and_shape(features, kind, width, shape):
    spec = FeatureSpec.of(features)
    assert (features.kind, spec.kind, spec.width, spec.shape) == (kind, kind, width, shape)
    assert spec.masked == (features.mask is not None)
    wide = spec.widened(7)
    assert wide.width == 7
    assert (wide.kind, wide.masked) == (spec.kind, spec.masked)
    assert sorted(wide.shape) == sorted([7 if size == 3 else size for size in shape])


def test_a_mask_is_carried_past_stages_that_do_not_ask_for_it_and_given_to_those_that_do():
    out = F.run_stage(Doubles(), ALL[2])
    assert out.mask is MASK
    assert torch.equal(out.values, 2 * SEQUENCE)
    out = F.run_stage(Masked(), ALL[2])
    assert torch.equal(out.values[0, 2], torch.zeros(3))
    assert torch.equal(out.values[0, 1], SEQUENCE[0, 1])
    assert out.mask is MASK
    assert F.run_stage(Masked(), ALL[1]).mask is None


def test_a_stage_that_changes_the_length_must_give_a_new_mask():
    out = F.run_stage(Halves(with_mask=True), ALL[2])
    assert torch.equal(out.mask, MASK[:, ::2])
    with pytest.raises(ValueError, match="Halves changed the sequence length from 5 to 3"):
        F.run_stage(Halves(with_mask=False), ALL[2])
    assert F.run_stage(Halves(with_mask=False), ALL[1]).values.shape == (2, 3, 3)


def test_a_stage_that_leaves_sequences_drops_the_mask():
    class Means(nn.Module):
        def forward(self, values):
            return values.mean(dim=1)

    assert F.run_stage(Means(), ALL[2]).mask is None


def test_stages_run_in_order_from_the_stem():
    class Stem(nn.Module):
        def forward(self, inputs):
            return Features(inputs.values + 1, MASK)

    out = F.run_stages([Stem(), Doubles()], Inputs(SEQUENCE, "d"))
    assert torch.equal(out.values, 2 * (SEQUENCE + 1))
    assert out.mask is MASK
    assert F.run_stages(nn.Sequential(), ALL[0]) is ALL[0]
    assert torch.equal(F.run_stages(nn.Sequential(Stem()), Inputs(VECTOR, "d")).values, VECTOR + 1)


def test_pooling_is_the_mean_over_real_tokens_and_positions():
    assert F.pool(ALL[0]) is VECTOR
    torch.testing.assert_close(F.pool(ALL[1]), SEQUENCE.sum(1) / 5)
    pooled = F.pool(ALL[2])
    torch.testing.assert_close(pooled[0], (SEQUENCE[0, 0] + SEQUENCE[0, 1] + SEQUENCE[0, 3]) / 3)
    assert torch.equal(pooled[1], torch.zeros(3))  # no token at all: no division by zero
    torch.testing.assert_close(F.pool(ALL[3]), MAP.reshape(2, 3, 24).sum(-1) / 24)


def test_padding_never_reaches_the_pooled_vector():
    values = SEQUENCE.clone()
    values[~MASK] = 1e6
    torch.testing.assert_close(F.pool(Features(values, MASK)), F.pool(ALL[2]))


@pytest.mark.parametrize("features", ALL, ids=["vector", "sequence", "masked", "map"])
def test_untokens_is_the_inverse_of_tokens(features):
    tokens = F.tokens(features)
    assert tokens.ndim == 3
    assert tokens.shape[-1] == 3
    back = F.untokens(tokens, features)
    assert torch.equal(back.values, features.values)
    assert back.mask is features.mask


def test_tokens_of_a_map_are_its_positions_row_by_row():
    tokens = F.tokens(ALL[3])
    assert torch.equal(tokens[1, 6 * 2 + 5], MAP[1, :, 2, 5])


def test_resizing_pools_maps_to_the_positions_of_a_spec():
    out = F.resize(ALL[3], FeatureSpec((9, 2, 3)))
    torch.testing.assert_close(out.values[:, :, 1, 2], MAP[:, :, 2:4, 4:6].mean(dim=(2, 3)))
    for features in ALL:
        assert F.resize(features, FeatureSpec.of(features)) is features


def test_aligning_keeps_the_own_channels_and_takes_the_others_kind_positions_and_mask():
    for features in ALL:
        for like in ALL:
            other = Features(torch.cat([like.values, like.values], dim=1 if like.values.ndim == 4 else -1), like.mask)
            out = F.align(features, other)
            assert FeatureSpec.of(out) == FeatureSpec.of(other).widened(3)
            if features.kind == like.kind:
                assert torch.equal(out.values, features.values)
            else:
                torch.testing.assert_close(F.pool(Features(out.values)), F.pool(features))


def test_aligning_sequences_of_different_lengths_repeats_the_pooled_vector():
    out = F.align(Features(torch.randn(2, 4, 3)), ALL[2])
    assert out.values.shape == (2, 5, 3)
    assert torch.equal(out.values[:, 0], out.values[:, 4])
    assert out.mask is MASK


def test_aligning_maps_pools_to_the_smaller_one():
    out = F.align(ALL[3], Features(torch.randn(2, 8, 2, 3)))
    torch.testing.assert_close(out.values[:, :, 0, 0], MAP[:, :, :2, :2].mean(dim=(2, 3)))


def test_joining_puts_channels_side_by_side():
    assert torch.equal(F.join([MAP, 2 * MAP])[:, 3:], 2 * MAP)
    assert torch.equal(F.join([SEQUENCE, VECTOR.unsqueeze(1).expand(-1, 5, -1)])[:, :, :3], SEQUENCE)


@pytest.mark.parametrize("values", [VECTOR, SEQUENCE, MAP], ids=["vector", "sequence", "map"])
@pytest.mark.parametrize("per_channel", [False, True])
def test_stitching_equals_a_written_out_sum(values, per_channel):
    columns = torch.stack([values, values.flip(0), values**2])  # [S, B, ...]
    weights = torch.randn(2, 3, 3) if per_channel else torch.randn(2, 3)
    out = F.stitch(weights, columns)
    for t in range(2):
        expected = torch.zeros_like(values)
        for s in range(3):
            weight = weights[t, s]
            if per_channel and values.ndim == 4:
                weight = weight.reshape(-1, 1, 1)
            expected += weight * columns[s]
        torch.testing.assert_close(out[t], expected)


@pytest.mark.parametrize("values", [VECTOR, SEQUENCE, MAP], ids=["vector", "sequence", "map"])
def test_mixtures_and_gates_equal_written_out_loops(values):
    experts = torch.stack([values, values**2, values.flip(0)], dim=1)  # [B, E, ...]
    gates = torch.rand(2, 3)
    mixed, scaled = F.mixture(gates, experts), F.gate_scale(gates[:, 0], values)
    for row in range(2):
        torch.testing.assert_close(mixed[row], sum(gates[row, e] * experts[row, e] for e in range(3)))
        torch.testing.assert_close(scaled[row], gates[row, 0] * values[row])


@pytest.mark.parametrize("features", ALL, ids=["vector", "sequence", "masked", "map"])
def test_layers_fit_their_spec_and_keep_positions(features):
    spec = FeatureSpec.of(features)
    for make in (F.local, F.pointwise):
        out = make(spec, 7)(features.values)
        assert FeatureSpec.of(Features(out, features.mask)) == spec.widened(7)
    pointwise = F.pointwise(spec, 7)
    changed = F.tokens(features).clone()
    changed[:, 0] += 1.0
    before, after = (
        F.tokens(Features(pointwise(F.untokens(t, features).values))) for t in (F.tokens(features), changed)
    )
    assert torch.equal(before[:, 1:], after[:, 1:])
    assert not torch.equal(before[:, 0], after[:, 0])


def test_an_alias_takes_gradients_at_one_use():
    x = torch.ones(2, requires_grad=True)
    y = 3 * x
    one = F.alias(y)
    loss = (one * 2 + y * 5).sum()
    at_use, at_root = torch.autograd.grad(loss, [one, x])
    assert torch.equal(at_use, torch.full((2,), 2.0))
    assert torch.equal(at_root, torch.full((2,), 21.0))
