import pytest
import torch

from mtl_cli.training.dynamo import lean
from mtl_cli.training.late_gradients import take_late
from tests.training._stepped import stepped

SETTINGS = [
    {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
    {"momentum": 0.9, "dampening": 0.5, "weight_decay": 0.1},
    {"momentum": 0.8, "dampening": 0.3, "maximize": True, "weight_decay": 0.1},
    {"momentum": 0.0},
]


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("given", [[{0}, {0, 1}, {1}, {2}, {0, 1, 2}], [{1}, {0, 1, 2}, {0}], [{0}, {1}, {0, 1, 2}]])
@pytest.mark.parametrize("resumed_at", [None, 1])
def test_a_gradient_that_comes_late_is_stepped_as_by_an_optimizer_that_is_not_fused(settings, given, resumed_at):
    fused, _ = stepped(
        lambda parameters: take_late(lean(torch.optim.SGD(parameters, 0.1, fused=True, **settings))), given, resumed_at
    )
    plain, _ = stepped(lambda parameters: torch.optim.SGD(parameters, 0.1, **settings), given)
    for one, other in zip(fused, plain, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)


def test_other_optimizers_are_left_as_they_are():
    for kind in (torch.optim.AdamW, torch.optim.SGD):
        optimizer = kind([torch.nn.Parameter(torch.ones(2))], 0.1)
        assert take_late(optimizer) is optimizer
        assert "step" not in vars(optimizer)
