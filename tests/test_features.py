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


class Masked(F.Stage):
    takes_mask = True

    def forward(self, values, mask):
        return values * mask.unsqueeze(-1) if mask is not None else values


class Halves(F.Stage):
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


class Keeps(F.Stage):
    keeps_input = True

    def forward(self, values):
        return values[:, :, ::2, ::2]


class Takes(F.Stage):
    """Adds up all that it is given, and uses up the last skip."""

    takes_skips = True

    def forward(self, values, skips):
        return torch.nn.functional.interpolate(values, skips[-1].shape[2:]) + skips[-1]


def test_stages_keep_what_they_are_handed_carry_skips_and_use_up_the_last():
    first = F.run_stage(Keeps(), ALL[3])
    assert first.skips == (MAP,)
    second = F.run_stage(Keeps(), first.replace(3 * first.values))
    assert [skip.shape for skip in second.skips] == [(2, 3, 4, 6), (2, 3, 2, 3)]
    assert torch.equal(second.skips[1], 3 * MAP[:, :, ::2, ::2])
    carried = F.run_stage(Doubles(), second)
    assert carried.skips == second.skips
    assert FeatureSpec.of(carried) == FeatureSpec((3, 1, 2), skips=((3, 4, 6), (3, 2, 3)))
    assert FeatureSpec.of(carried).widened(9).skips == ((3, 4, 6), (3, 2, 3))
    up = F.run_stage(Takes(), carried)
    assert up.skips == (MAP,)
    assert torch.equal(up.values[:, :, 0, 0], 2 * second.values[:, :, 0, 0] + second.skips[1][:, :, 0, 0])
    assert F.run_stage(Takes(), up).skips == ()


def test_features_from_a_stage_that_takes_skips_set_them_and_from_others_add_to_them():
    class Sets(F.Stage):
        def __init__(self, takes):
            super().__init__()
            self.takes_mask = self.takes_skips = takes

        def forward(self, values, mask=None, skips=()):
            return Features(values, mask, (5 * values, *[2 * skip for skip in skips]))

    given = Features(SEQUENCE, MASK, (SEQUENCE + 1, SEQUENCE + 2))
    taken = F.run_stage(Sets(takes=True), given)
    assert taken.mask is MASK
    for skip, wanted in zip(taken.skips, [5 * SEQUENCE, *[2 * skip for skip in given.skips]], strict=True):
        assert torch.equal(skip, wanted)
    added = F.run_stage(Sets(takes=False), given)
    assert added.skips[:2] == given.skips
    assert torch.equal(added.skips[2], 5 * SEQUENCE)
    assert len(added.skips) == 3


def test_tokens_go_back_with_the_skips():
    given = Features(MAP, skips=(MAP + 1,))
    assert F.untokens(2 * F.tokens(given), given).skips == given.skips


def test_a_part_of_the_stages_keeps_their_numbers():
    stages = F.Stages(nn.Identity(), Doubles(), Doubles(), first=1)
    assert [number for number, _ in stages.numbered()] == [1, 2, 3]
    assert [number for number, stage in stages[1:].numbered() if stage is stages[2]] == [3]
    assert torch.equal(stages[-2:](ALL[0]).values, 4 * VECTOR)


def test_a_boundary_has_one_alias_per_tensor_in_the_order_of_their_use():
    root = torch.ones(2, 3, requires_grad=True)
    values, skip = 2 * root, 3 * root
    boundary = F.Boundary(asked=True)
    first = boundary.hand_over_features(Features(values, skips=(skip,)))
    second = boundary.hand_over_features(Features(skip, MASK, skips=(values,)))
    assert second.values is first.skips[0]
    assert second.skips[0] is first.values
    assert second.mask is MASK
    assert len(boundary.tensors) == 2
    assert boundary.tensors[0] is first.values
    gradients = torch.autograd.grad((first.values + 7 * second.values + 5 * values).sum(), boundary.tensors)
    assert [gradient[0, 0].item() for gradient in gradients] == [1, 7]  # not the use of the tensor itself


def test_a_boundary_that_nobody_asked_for_leaves_features_as_they_are():
    boundary = F.Boundary(asked=False)
    assert boundary.hand_over_features(ALL[2]) is ALL[2]
    assert boundary.hand_over(MAP) is MAP
    assert boundary.tensors == []


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
def test_mixtures_equal_written_out_loops(values):
    experts = torch.stack([values, values**2, values.flip(0)], dim=1)  # [B, E, ...]
    gates = torch.rand(2, 3)
    mixed = F.mixture(gates, experts)
    for row in range(2):
        torch.testing.assert_close(mixed[row], sum(gates[row, e] * experts[row, e] for e in range(3)))


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
