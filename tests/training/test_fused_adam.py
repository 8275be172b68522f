import pytest
import torch

from mtl_cli.training.fused_adam import straight
from tests.training._stepped import stepped

SETTINGS = [{}, {"amsgrad": True, "weight_decay": 0.1}, {"maximize": True, "betas": (0.5, 0.9)}]
EVERY = {0, 1, 2}


@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.AdamW])
@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("given", [[EVERY] * 5, [{0}, {0, 1}, EVERY, EVERY, {1}, EVERY]])
@pytest.mark.parametrize("resumed_at", [None, 3])
def test_steps_are_those_of_torch_bit_for_bit(kind, settings, given, resumed_at):
    ours, kept = stepped(lambda groups: straight(kind(groups, 0.1, fused=True, **settings)), given, resumed_at)
    theirs, expected = stepped(lambda groups: kind(groups, 0.1, fused=True, **settings), given)
    for one, other in zip(ours, theirs, strict=True):
        assert torch.equal(one, other)
    assert kept.keys() == expected.keys()
    for number, each in expected.items():
        assert kept[number].keys() == each.keys()
        assert all(torch.equal(kept[number][name], value) for name, value in each.items())


def test_other_optimizers_are_left_as_they_are():
    for optimizer in (torch.optim.AdamW([torch.ones(2)], 0.1), torch.optim.SGD([torch.ones(2)], 0.1, fused=True)):
        assert straight(optimizer) is optimizer
        assert "step" not in vars(optimizer)


def test_a_state_without_moments_begins_anew():
    parameter = torch.nn.Parameter(torch.ones(2))
    optimizer = straight(torch.optim.AdamW([parameter], 0.1, fused=True))
    start = optimizer.state_dict()
    found = []
    for _ in range(2):
        optimizer.load_state_dict(start)
        parameter.data.fill_(1.0)
        for _ in range(3):
            parameter.grad = torch.ones(2)
            optimizer.step()
        found.append((parameter.tolist(), optimizer.state[parameter]["step"].item()))
    assert found[0] == found[1]
    assert found[1][1] == 3
