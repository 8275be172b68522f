"""Three processes: sums are no longer the same in any order."""

import pytest
import torch

from mtl_cli.ranks.ranks import ALONE
from tests import _toy
from tests.ranks import _cases
from tests.ranks._pool import differences, pool

TWO_DATASETS = {"quadrant": _toy.task("quadrant", missing=0.3), "sign": _toy.task("sign", seed=2)}
SGD = {"_target_": "torch.optim.SGD", "lr": 0.05}


@pytest.mark.slow
def test_three_ranks_add_up_in_their_order(no_pool):
    with pool(3) as three:
        for size in (1, 2, 7, 1000):
            found = three.run("sums", size=size)
            wanted = (torch.tensor(1e8) + 1.0) + -1e8
            assert torch.equal(found["total"], wanted.expand(size))
            assert torch.equal(found["strided"], torch.full((6, 2), 6.0)[: 2 * size])
            assert found["ordered"].flatten().tolist() == [0, 10, 20, 1, 11, 21]
        for method in ("fixed", "uncertainty", "upgrad", "graddrop"):
            case = {"method": method, "micro": 3, "tasks": TWO_DATASETS}
            assert differences(three.run("steps", **case), _cases.steps(ALONE, **case)) == []
        case = {"method": "upgrad", "micro": 6, "optimizer": SGD}
        assert differences(three.run("steps", **case), _cases.steps(ALONE, **case), 1e-5) == []
