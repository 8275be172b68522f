"""Every mode on a U-Net, written out: values, skips and all gradients are those of the equations."""

import torch
from torch import Tensor
from torch.nn import functional as F

from mtl_cli.batch import Inputs
from tests.sharing._inputs import ONE, factory, images, sharing
from tests.sharing._reference import Weights, randomised

TASKS = tuple(ONE)
State = list[Tensor]
"""Values, then the skips from the finest on."""


def conv(w: Weights, prefix: str, x: Tensor) -> Tensor:
    weight, bias = w[f"{prefix}.weight"], w[f"{prefix}.bias"]
    return F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)


def larger(x: Tensor, like: Tensor) -> Tensor:
    """Return maps in which every position is repeated up to the size of `like`."""
    times = like.shape[-1] // x.shape[-1]
    return x.repeat_interleave(times, dim=2).repeat_interleave(times, dim=3)


def stage(w: Weights, prefix: str, number: int, state: State) -> State:
    """Return what a stage of `tests.sharing._unet` makes of a state."""
    values, *skips = state
    if number == 1:
        return [torch.tanh(conv(w, f"{prefix}.0", values)), *skips]
    if number in (2, 3):
        return [torch.tanh(conv(w, f"{prefix}.conv", F.avg_pool2d(values, 2))), *skips, values]
    if number == 4:
        *skips, last = skips
        return [torch.tanh(conv(w, f"{prefix}.conv", torch.cat([larger(values, last), last], dim=1))), *skips]
    values = torch.tanh(conv(w, f"{prefix}.conv", values))
    return [values, skips[0] + larger(values[:, :4], skips[0])]


def stages(w: Weights, prefix: str, numbers: range, state: State) -> State:
    for place, number in enumerate(numbers):
        state = stage(w, f"{prefix}.{place + (numbers.start == 1)}", number, state)  # the stem is 0 of a whole
    return state


def mix(gates: Tensor, experts: list[State]) -> State:
    """Return the sums, of values and of each skip, under gates [B, E]."""
    assert gates.shape[1] == len(experts)
    shares = [gates[:, e, None, None, None] for e in range(len(experts))]
    return [sum(share * of for share, of in zip(shares, each, strict=True)) for each in zip(*experts, strict=True)]


def gates(w: Weights, key: str, state: State) -> Tensor:
    return torch.softmax(state[0].mean(dim=(2, 3)) @ w[key].T, dim=1)


def check(name, reference, on="skips", tasks=TASKS, **settings):
    """Assert that values, skips and the gradients of all parameters are those of a reference."""
    mode = randomised(sharing(name, factory(on, ONE), **settings))
    x = images(5).double()
    w = {key: value.detach().clone().requires_grad_() for key, value in mode.named_parameters()}
    stream = torch.Generator().manual_seed(3)
    sums = [torch.zeros(()), torch.zeros(())]
    wanted = reference(w, [x])
    for task, features in mode(Inputs(x, "one"), tasks).features.items():
        for got, want in zip([features.values, *features.skips], wanted[task], strict=True):
            torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-9)
            direction = torch.randn(got.shape, generator=stream)
            sums = [total + (direction * of).sum() for total, of in zip(sums, (got, want), strict=True)]
    gradients = torch.autograd.grad(sums[0], list(mode.parameters()), materialize_grads=True)
    expected = torch.autograd.grad(sums[1], list(w.values()), materialize_grads=True)
    for key, first, second in zip(w, gradients, expected, strict=True):
        torch.testing.assert_close(first, second, rtol=1e-8, atol=1e-9, msg=lambda text, key=key: f"{key}: {text}")


def test_hard_sharing_hands_the_skips_that_are_left_to_every_task():
    check("hard", lambda w, x: dict.fromkeys(TASKS, stages(w, "trunk", range(1, 5), x)))
    check("hard", lambda w, x: dict.fromkeys(TASKS, stages(w, "trunk", range(1, 6), x)), on="pyramid")


def test_tasks_that_leave_inside_the_network_have_the_skips_of_their_stage():
    def reference(w, x):
        return {task: stages(w, "trunk", range(1, 1 + last), x) for task, last in (("left", 3), ("right", 4))}

    check("hierarchical", reference, attach={"left": "enc3"})


def test_columns_of_independent_tasks_have_skips_of_their_own():
    check("independent", lambda w, x: {task: stages(w, f"trunks.{task}", range(1, 5), x) for task in TASKS})


def test_a_stitched_column_keeps_what_was_stitched():
    def reference(w, x):
        columns = dict.fromkeys(TASKS, x)
        for number in range(1, 6):
            columns = {task: stage(w, f"columns.{task}.{number}", number, of) for task, of in columns.items()}
            alpha = w[f"stitches.all.{number - 1}.weight"]
            values = [columns[task][0] for task in TASKS]
            mixed = [sum(a * of for a, of in zip(row, values, strict=True)) for row in alpha]
            columns = {task: [of, *columns[task][1:]] for task, of in zip(TASKS, mixed, strict=True)}
        return columns

    check("cross_stitch", reference, on="pyramid")
    check("cross_stitch", reference, on="pyramid", tasks=("right",))


def test_mtan_attends_to_the_shared_network_whose_skips_heads_read():
    def reference(w, x):
        shared, states = x, []
        for number in range(1, 5):
            shared = stage(w, f"trunk.{number}", number, shared)
            states.append(shared)
        out = {}
        for task in TASKS:
            attended = None
            for j, (p, *_) in enumerate(states):
                seen = p
                if attended is not None:
                    extracted = conv(w, f"extractors.{j - 1}.0", attended).clamp(min=0)
                    up = extracted.shape[-1] < p.shape[-1]
                    seen = torch.cat([p, larger(extracted, p) if up else F.avg_pool2d(extracted, 2)], dim=1)
                hidden = conv(w, f"attention.{task}.{j}.g", seen).clamp(min=0)
                attended = torch.sigmoid(conv(w, f"attention.{task}.{j}.h", hidden)) * p
            out[task] = [attended, *states[-1][1:]]
        return out

    check("mtan", reference)


def test_experts_read_the_skips_of_the_trunk_and_their_own_are_mixed_under_the_same_gates():
    def reference(last, expert_stages):
        def out(w, x):
            split = last - expert_stages
            trunk = stages(w, "trunk", range(1, split + 1), x)
            experts = []
            for e in range(4):
                state = trunk
                for place in range(expert_stages):
                    state = stage(w, f"experts.{e}.{place}", split + 1 + place, state)
                experts.append(state)
            return {task: mix(gates(w, f"gates.{task}.linear.weight", trunk), experts) for task in TASKS}

        return out

    check("mmoe", reference(4, 3), num_experts=4, expert_stages=3)
    check("mmoe", reference(5, 1), on="pyramid", num_experts=4, expert_stages=1)
    check("mmoe", reference(5, 3), on="pyramid", num_experts=4, expert_stages=3, tasks=("left",))


def extraction(prefix, spans):
    """Return a reference of levels of extraction, each with the stages of a range."""

    def out(w, x):
        trunk = stages(w, "trunk", range(1, spans[0].start), x)
        inputs = dict.fromkeys([*TASKS, "shared"], trunk)
        for level, span in enumerate(spans):
            at = prefix.format(level)
            experts = {}
            for name in inputs:
                made = []
                for e in range(2):
                    state = inputs[name]
                    for place, number in enumerate(span):
                        where = f"{at}.shared.{e}" if name == "shared" else f"{at}.own.{name}.{e}"
                        state = stage(w, f"{where}.{place}", number, state)
                    made.append(state)
                experts[name] = made
            outputs = {
                task: mix(gates(w, f"{at}.gates.{task}.linear.weight", inputs[task]), experts[task] + experts["shared"])
                for task in TASKS
            }
            if level < len(spans) - 1:
                rows = [w[f"{at}.shared_gate.blocks.{task}.weight"] for task in TASKS]
                weight = torch.cat([*rows, w[f"{at}.shared_gate.shared.weight"]])
                everything = [expert for name in (*TASKS, "shared") for expert in experts[name]]
                shares = torch.softmax(inputs["shared"][0].mean(dim=(2, 3)) @ weight.T, dim=1)
                outputs["shared"] = mix(shares, everything)
            inputs = outputs
        return inputs

    return out


COUNTS = {"num_shared_experts": 2, "num_task_experts": 2}


def test_one_level_of_extraction_mixes_the_skips_of_own_and_shared_experts():
    check("cgc", extraction("level", [range(4, 6)]), on="pyramid", expert_stages=2, **COUNTS)
    check("cgc", extraction("level", [range(2, 5)]), expert_stages=3, tasks=("right",), **COUNTS)


def test_levels_of_extraction_keep_the_mixtures_that_they_are_handed():
    spans = [range(number, number + 1) for number in range(2, 6)]
    check("ple", extraction("levels.{}", spans), on="pyramid", expert_stages=4, **COUNTS)
    check("ple", extraction("levels.{}", spans), on="pyramid", expert_stages=4, tasks=("left",), **COUNTS)
