"""Rows of gradients of many tasks from one backward against one backward per task."""

import pytest
import torch

from mtl_cli.weightings.linalg.jacobian import Jacobian, boundary_rows
from mtl_cli.weightings.linalg.views import Views

BATCH, WIDTH, TASKS = 4, 3, 5
NAMES = tuple(f"t{number}" for number in range(TASKS))


def heads_and_trunk():
    torch.manual_seed(0)
    trunk = torch.nn.Parameter(torch.randn(WIDTH, 2))
    heads = torch.nn.Parameter(torch.randn(TASKS, WIDTH))
    return trunk, heads, torch.randn(BATCH, 2, 6)


def forward(trunk, heads, inputs, viewed):
    """Return the losses [T], the boundary [B, D, 6], and, where asked for, the views of what is pooled from it."""
    boundary = torch.einsum("dc,bcl->bdl", trunk, inputs).tanh()
    pooled = boundary.mean(dim=2)
    values = pooled.expand(TASKS, BATCH, WIDTH)
    outputs = torch.einsum("tbd,td->bt", values, heads) if viewed else pooled @ heads.T
    return outputs.exp().mean(dim=0), boundary, (pooled, values)


@pytest.mark.parametrize("labelled", [NAMES, NAMES[1:4]])
def test_rows_at_a_boundary_below_the_features_are_those_of_one_backward_per_task(labelled):
    trunk, heads, inputs = heads_and_trunk()
    places = torch.tensor([NAMES.index(name) for name in labelled])
    losses, boundary, _ = forward(trunk, heads, inputs, viewed=False)
    index = {name: row for row, name in enumerate(labelled)}
    above = {name: [heads] for name in labelled}
    wanted = boundary_rows({name: losses[NAMES.index(name)] for name in labelled}, [boundary], above, index)
    wanted_heads, heads.grad = heads.grad, None
    losses, boundary, (pooled, values) = forward(trunk, heads, inputs, viewed=True)
    rows = None if labelled is NAMES else places
    views = Views(labelled, losses[places], rows, pooled, values, [heads])
    found = boundary_rows({}, [boundary], {}, index, [views])
    assert torch.allclose(found, wanted, atol=1e-7)
    assert torch.allclose(heads.grad, wanted_heads, atol=1e-7)
    assert trunk.grad is None


def test_rows_at_parameters_are_those_of_one_backward_per_task():
    found = []
    for viewed in (False, True):
        trunk, heads, inputs = heads_and_trunk()
        losses, _, (pooled, values) = forward(trunk, heads, inputs, viewed)
        jacobian, rows = Jacobian([trunk], TASKS), {name: row for row, name in enumerate(NAMES)}
        with jacobian.recording(TASKS):
            if viewed:
                jacobian.add({}, rows, [Views(NAMES, losses, None, pooled, values, [heads])])
            else:
                jacobian.add(dict(zip(NAMES, losses.unbind(), strict=True)), rows)
        found.append((jacobian.rows, heads.grad))
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one, other, atol=1e-7)


def test_heads_get_gradients_where_the_features_are_frozen():
    _, heads, inputs = heads_and_trunk()
    losses, boundary, (pooled, values) = forward(torch.ones(WIDTH, 2), heads, inputs, viewed=True)
    rows = Views(NAMES, losses, None, pooled, values, [heads]).rows()
    assert not rows.any()
    assert not boundary.requires_grad
    assert bool(heads.grad.any(dim=1).all())
