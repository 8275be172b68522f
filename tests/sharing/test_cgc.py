import pytest
import torch

from tests.sharing._reference import NETS, TASKS, assert_equals


@pytest.mark.parametrize("net", NETS)
def test_equals_gated_sums_of_own_and_shared_experts(net):
    def reference(net, w, x):
        split = net.trunk(w, "trunk", x, 2)
        shared = [net.stage(w, f"level.shared.{e}.0", split) for e in range(2)]
        out = {}
        for task in TASKS:
            experts = [net.stage(w, f"level.own.{task}.{e}.0", split) for e in range(3)] + shared
            gates = torch.softmax(net.pool(split, x) @ w[f"level.gates.{task}.linear.weight"].T, dim=1)
            out[task] = sum(net.spread(gates[:, e], expert) * expert for e, expert in enumerate(experts))
        return out

    assert_equals("cgc", net, reference, num_shared_experts=2, num_task_experts=3)
    assert_equals("cgc", net, reference, tasks=("third", "right"), num_shared_experts=2, num_task_experts=3)
