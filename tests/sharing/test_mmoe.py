import pytest
import torch

from tests.sharing._inputs import ONE, TWO, Model, factory, losses, sharing
from tests.sharing._reference import NETS, TASKS, assert_equals


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("net", NETS)
def test_equals_gated_sums_of_experts(net, depth):
    def reference(net, w, x):
        split = net.trunk(w, "trunk", x, 3 - depth)
        experts = []
        for e in range(3):
            hidden = split
            for index in range(depth):
                hidden = net.stage(w, f"experts.{e}.{index}", hidden)
            experts.append(hidden)
        out = {}
        for task in TASKS:
            logits = net.pool(split, x) @ w[f"gates.{task}.linear.weight"].T
            gates = logits.exp() / logits.exp().sum(dim=1, keepdim=True)
            out[task] = sum(net.spread(gates[:, e], experts[e]) * experts[e] for e in range(3))
        return out

    assert_equals("mmoe", net, reference, num_experts=3, expert_stages=depth)
    assert_equals("mmoe", net, reference, tasks=("right",), num_experts=3, expert_stages=depth)


@pytest.mark.parametrize("name", ["cnn", "mlp", "tokens"])
@pytest.mark.parametrize("dataset_of", [ONE, TWO], ids=["one_dataset", "two_datasets"])
def test_one_expert_is_hard_sharing_bit_for_bit(dataset_of, name):
    models = [
        Model(sharing("mmoe", factory(name, dataset_of), num_experts=1)),
        Model(sharing("hard", factory(name, dataset_of))),
    ]
    for model in models:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        for _ in range(3):
            optimizer.zero_grad()
            found, _ = losses(model, name, dataset_of, ["left", "right"])
            torch.stack(list(found.values())).sum().backward()
            optimizer.step()
    first, second = models[0].sharing, models[1].sharing
    moved = [*first.trunk.parameters(), *first.experts[0].parameters()]
    for one, other in zip(moved, second.trunk.parameters(), strict=True):
        assert torch.equal(one, other)
    for one, other in zip(models[0].heads.parameters(), models[1].heads.parameters(), strict=True):
        assert torch.equal(one, other)


def test_all_problems_are_reported_together():
    with pytest.raises(ValueError, match=r"sharing\.num_experts is 0") as error:
        sharing("mmoe", factory("cnn", ONE), num_experts=0, expert_stages=9)
    assert "sharing.expert_stages is 9" in str(error.value)


@pytest.mark.parametrize("mode", ["mmoe", "dselect_k", "cgc", "ple"])
@pytest.mark.parametrize(("name", "most"), [("cnn", 2), ("mlp", 3), ("lenet", 3)])
def test_expert_stages_out_of_range_are_refused_with_those_that_are_not(mode, name, most):
    sharing(mode, factory(name, ONE), expert_stages=most)
    for value in (0, most + 1):
        message = (
            rf"sharing.expert_stages is {value}; this backbone allows 1 to {most}. Use sharing.expert_stages={most}"
        )
        with pytest.raises(ValueError, match=message):
            sharing(mode, factory(name, ONE), expert_stages=value)


@pytest.mark.parametrize(
    ("mode", "name"),
    [
        ("mmoe", "num_experts"),
        ("dselect_k", "num_experts"),
        ("dselect_k", "num_selected"),
        ("cgc", "num_shared_experts"),
        ("ple", "num_task_experts"),
        ("adapters", "rank"),
    ],
)
def test_counts_below_1_are_refused(mode, name):
    with pytest.raises(ValueError, match=rf"sharing.{name} is 0; at least 1 is needed. Use sharing.{name}=1"):
        sharing(mode, factory("cnn", ONE), **{name: 0})
