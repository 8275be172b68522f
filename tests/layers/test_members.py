import torch
from torch.nn import functional as F

from mtl_cli.layers.members import MemberLinear, Members, ResidualMembers

K = 3


def randomised(layer):
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.normal_()
    return layer.eval()


def test_each_member_is_a_linear_layer_with_a_matrix_of_its_own():
    layer = randomised(MemberLinear(K, 5, 4))
    rows = torch.randn(2 * K, 5)
    out = layer(rows)
    for row in range(2 * K):
        member = row % K
        matrix = layer.after[member][:, None] * layer.linear.weight * layer.before[member][None, :]
        torch.testing.assert_close(out[row], F.linear(rows[row], matrix, layer.bias[member]))


def test_a_sample_has_its_members_one_after_another():
    layer = randomised(Members(K, 4))
    vectors = torch.randn(2, 4)
    expected = [vectors[b] * layer.factors[k] + layer.bias[k] for b in range(2) for k in range(K)]
    torch.testing.assert_close(layer(vectors), torch.stack(expected))


def test_members_begin_with_random_signs():
    torch.manual_seed(0)
    factors = Members(4, 64).factors
    assert set(factors.unique().tolist()) == {-1.0, 1.0}
    assert len(factors.unique(dim=0)) == 4


def test_a_block_adds_to_what_it_is_given():
    block = randomised(ResidualMembers(K, 4, torch.nn.Tanh(), 0.5))
    rows = torch.randn(2 * K, 4)
    torch.testing.assert_close(block(rows), rows + torch.tanh(block.linear(rows)))
    assert not torch.equal(block.train()(rows), block(rows))
