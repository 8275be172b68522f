import pytest
import torch

from tests.sharing._inputs import ONE, TWO, Model, factory, inputs, losses, sharing
from tests.sharing._reference import NETS, TASKS, assert_equals


@pytest.mark.parametrize("net", NETS)
def test_equals_levels_of_own_and_shared_experts(net):
    def reference(net, w, x):
        start = net.trunk(w, "trunk", x, 1)
        inputs = dict.fromkeys([*TASKS, "shared"], start)
        for level in range(2):
            experts = {
                task: [net.stage(w, f"levels.{level}.own.{task}.{e}.0", inputs[task]) for e in range(2)]
                for task in TASKS
            }
            experts["shared"] = [net.stage(w, f"levels.{level}.shared.{e}.0", inputs["shared"]) for e in range(3)]
            outputs = {}
            for task in TASKS:
                logits = net.pool(inputs[task], x) @ w[f"levels.{level}.gates.{task}.linear.weight"].T
                outputs[task] = mixture(net, logits, experts[task] + experts["shared"])
            if level == 0:
                pooled = net.pool(inputs["shared"], x)
                prefix = "levels.0.shared_gate"
                blocks = [pooled @ w[f"{prefix}.blocks.{task}.weight"].T for task in TASKS]
                logits = torch.cat([*blocks, pooled @ w[f"{prefix}.shared.weight"].T], dim=1)
                everything = [expert for name in (*TASKS, "shared") for expert in experts[name]]
                outputs["shared"] = mixture(net, logits, everything)
            inputs = outputs
        return outputs

    settings = {"num_shared_experts": 3, "num_task_experts": 2, "expert_stages": 2}
    assert_equals("ple", net, reference, **settings)
    assert_equals("ple", net, reference, tasks=("third",), **settings)


def mixture(net, logits, experts):
    gates = torch.softmax(logits, dim=1)
    assert gates.shape[1] == len(experts)
    return sum(net.spread(gates[:, e], expert) * expert for e, expert in enumerate(experts))


@pytest.mark.parametrize("dataset_of", [ONE, TWO], ids=["one_dataset", "two_datasets"])
def test_one_level_is_cgc_bit_for_bit(dataset_of):
    counts = {"num_shared_experts": 2, "num_task_experts": 2, "expert_stages": 1}
    models = [Model(sharing(mode, factory("cnn", dataset_of), **counts)) for mode in ("ple", "cgc")]
    for model in models:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        for _ in range(3):
            optimizer.zero_grad()
            found, _ = losses(model, "cnn", dataset_of, ["left", "right"])
            torch.stack(list(found.values())).sum().backward()
            optimizer.step()
    trained = dict(models[0].named_parameters())
    for key, value in models[1].named_parameters():
        assert torch.equal(trained[key.replace("level.", "levels.0.")], value), key


def test_three_levels_run_all_experts_below_the_last_level_and_no_more_gates_than_needed():
    mode = sharing("ple", factory("mlp", ONE), expert_stages=3)
    ran = set()
    for key, module in mode.named_modules():
        module.register_forward_hook(lambda *_, key=key: ran.add(key))
    mode(inputs("mlp", "one"), ["left"])
    assert {f"levels.{level}.own.right.0.0" for level in range(2)} <= ran
    assert "levels.2.own.right.0.0" not in ran
    assert {key for key in ran if key.endswith("gates.right")} == {"levels.0.gates.right"}
