"""Batch norm over the rows of all ranks equals that of one large batch; by itself it equals accumulation."""

import copy

import pytest
import torch
from torch import nn

from mtl_cli.ranks.batch_norm import BatchNorms, Synced
from mtl_cli.ranks.ranks import ALONE
from tests import _toy
from tests._thinned import thinned
from tests.ranks import _cases
from tests.ranks._pool import differences

SGD = {"_target_": "torch.optim.SGD", "lr": 0.05}
PLAIN = {"backbone__norm": "batch", "backbone__dropout": 0.0, "optimizer": SGD, "ema__decay": None}


def tasks(batch_size, missing):
    """Two tasks of one dataset, of which the first has few labels."""
    own = {"batch_size": batch_size, "missing": missing, "seed": 3}
    return {"quadrant": _toy.task("quadrant", **own), "sign": _toy.task("sign", **own)}


@pytest.mark.parametrize("method", ["fixed", "upgrad", "uncertainty"])
@pytest.mark.parametrize("missing", thinned([0.0, 0.9], [0.9]))
def test_sync_equals_one_process_with_the_large_batch(two, method, missing):
    found = two.run("steps", method=method, tasks=tasks(4, missing), **PLAIN)
    wanted = _cases.steps(ALONE, method=method, tasks=tasks(8, missing), micro=1, **PLAIN)
    names = [name for name in wanted if name.startswith("/job/model/") or "/losses/" in name]
    assert any("running_var" in name for name in names)
    assert differences({n: found[n] for n in names}, {n: wanted[n] for n in names}, 1e-4) == []


def test_local_equals_accumulation(two):
    for method in ("fixed", "upgrad"):
        case = {"method": method, "trainer__batch_norm": "local", "micro": 4, "tasks": tasks(4, 0.8), **PLAIN}
        assert differences(two.run("steps", **case), _cases.steps(ALONE, **case), 1e-5) == []


def test_what_batch_norm_sees_matters(two):
    """The comparisons above notice statistics of other rows."""
    found = [two.run("steps", trainer__batch_norm=mode, tasks=tasks(4, 0.0), **PLAIN) for mode in ("sync", "local")]
    assert differences(*found, 1e-3)


@pytest.mark.parametrize("make", [nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d])
@pytest.mark.parametrize("affine", [True, False])
def test_the_joint_norm_of_one_rank_is_that_of_torch_with_its_gradients(make, affine):
    dims = {nn.BatchNorm1d: (), nn.BatchNorm2d: (4, 3), nn.BatchNorm3d: (2, 3, 2)}[make]
    plain = make(5, affine=affine)
    ours = copy.deepcopy(plain)
    ours.forward = Synced(ours, ALONE, ours.forward)
    x = (torch.randn(6, 5, *dims) * 3 + 7).requires_grad_()
    y = x.detach().clone().requires_grad_()
    for norm, values in ((plain, x), (ours, y)):
        norm(values).pow(3).sum().backward()
        norm(values * 2).sum().backward()
    torch.testing.assert_close(y.grad, x.grad, rtol=1e-4, atol=1e-4)
    for one, other in zip(ours.state_dict().values(), plain.state_dict().values(), strict=True):
        torch.testing.assert_close(one, other)
    for one, other in zip(ours.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(ours.eval()(y), plain.eval()(y))


class Odd(nn.BatchNorm1d):
    """A batch norm of its own kind."""


def test_a_batch_norm_of_its_own_kind_is_refused():
    several = copy.copy(ALONE)
    several.size = 2
    with pytest.raises(ValueError, match="Odd is a batch norm that does not run on several processes"):
        BatchNorms(nn.Sequential(Odd(3)), several, "sync")
