import pytest
import torch

from mtl_cli.sharing import ltb
from tests.sharing._inputs import ONE, Model, factory, inputs, losses, sharing
from tests.sharing._reference import NETS, TASKS, assert_equals

NOISE = {
    "parents/1": torch.tensor([[0.1, 0.9], [2.0, -1.0]]),
    "parents/2": torch.tensor([[1.5, -0.2], [0.3, 0.4]]),
    "ends/left": torch.tensor([[0.0, 3.0]]),
    "ends/right": torch.tensor([[0.7, -0.7]]),
    "ends/third": torch.tensor([[0.2, 2.0]]),
}


def tree(net, w, x, weigh):
    """Features by task: copies of every stage read parents under the weights [N] that `weigh` gives a child."""
    stem = net.stem(w, "stem.0", x)
    columns = [net.stage(w, f"levels.0.{copy}.0", stem) for copy in range(2)]
    for stage in (1, 2):
        read = []
        for copy in range(2):
            a = weigh(w[f"parents.{stage - 1}.logits"][copy], f"parents/{stage}", copy)
            read.append(a[0] * columns[0] + a[1] * columns[1])
        columns = [net.stage(w, f"levels.{stage}.{copy}.0", read[copy]) for copy in range(2)]
    out = {}
    for task in TASKS:
        a = weigh(w[f"ends.{task}.logits"][0], f"ends/{task}", 0)
        out[task] = a[0] * columns[0] + a[1] * columns[1]
    return out


@pytest.mark.parametrize("net", NETS)
def test_the_warm_up_averages_all_parents(net):
    assert_equals("ltb", net, lambda net, w, x: tree(net, w, x, lambda a, name, row: torch.full((2,), 0.5)))


@pytest.mark.parametrize("net", NETS)
def test_the_search_reads_one_parent_and_learns_through_the_gumbel_softmax(net, monkeypatch):
    monkeypatch.setattr(ltb, "gumbel", lambda shape, *seed: NOISE[seed[-1]])

    def weigh(logits, name, row):
        scores = logits + NOISE[name][row]
        tau = 0.7 / 0.01**0.5  # the first step counts as a hundredth of training
        soft = (scores / tau).exp() / (scores / tau).exp().sum()
        return soft + ((scores == scores.max()).double() - soft).detach()

    assert_equals("ltb", net, lambda net, w, x: tree(net, w, x, weigh), search_from=0.0, temperature=0.7)


def settled(**settings):
    """A mode whose logits send left along copies 0-1-0, and right along 1-1-1, at the end of its search."""
    mode = sharing("ltb", factory("cnn", ONE), **settings)
    with torch.no_grad():
        mode.parents[0].logits.copy_(torch.tensor([[0.0, 1.0], [0.0, 1.0]]))
        mode.parents[1].logits.copy_(torch.tensor([[0.0, 1.0], [0.0, 1.0]]))
        mode.ends["left"].logits.copy_(torch.tensor([[1.0, 0.0]]))
        mode.ends["right"].logits.copy_(torch.tensor([[0.0, 1.0]]))
    return mode


def running(mode, tasks):
    """The copies of each stage that run."""
    ran = []
    for number, level in enumerate(mode.levels):
        for copy, stages in enumerate(level):
            stages[0].register_forward_hook(lambda *_, key=(number, copy): ran.append(key))
    mode(inputs("cnn", "one"), tasks)
    return sorted(ran)


def test_after_the_search_only_the_branches_of_the_batch_s_tasks_run():
    mode = settled()
    stages = len(mode.levels)
    assert stages == 3
    mode.start_step(3, 0, 0.49)
    assert len(running(settled(), ["left"])) == 2 * stages
    mode.start_step(3, 1, 0.5)
    assert running(mode, ["left"]) == [(0, 1), (1, 1), (2, 0)]
    mode = settled()
    mode.start_step(3, 1, 0.5)
    assert running(mode, ["left", "right"]) == [(0, 1), (1, 1), (2, 0), (2, 1)]


def test_fixing_changes_no_output_and_stops_the_logits():
    mode = settled()
    x = inputs("cnn", "one")
    before = mode.eval()(x, ["left", "right"]).features
    mode.train().start_step(3, 7, 0.6)
    after = mode(x, ["left", "right"]).features
    assert all(torch.equal(after[task].values, before[task].values) for task in ONE)
    torch.stack([features.values.sum() for features in after.values()]).sum().backward()
    assert all(choice.logits.grad is None for choice in (*mode.parents, *mode.ends.values()))


def test_a_fixed_tree_stays_what_it_is_when_its_weights_are_averaged_or_loaded():
    mode = settled()
    mode.start_step(3, 1, 0.5)
    other = sharing("ltb", factory("cnn", ONE))
    other.load_state_dict(mode.state_dict())
    with torch.no_grad():
        other.ends["left"].logits.copy_(torch.tensor([[0.0, 9.0]]))
    assert running(other.eval(), ["left"]) == [(0, 1), (1, 1), (2, 0)]
    other.start_step(3, 0, 0.0)  # another run starts from it: the search begins anew
    assert len(running(other, ["left"])) == 6


def test_draws_are_those_of_the_step_whoever_asks():
    mode = sharing("ltb", factory("cnn", ONE), search_from=0.0)
    x, seen = inputs("cnn", "one"), []
    for index in range(80):
        mode.start_step(3, index, 0.1)
        both = mode(x, ["left", "right"]).features["left"].values
        assert torch.equal(mode(x, ["left"]).features["left"].values, both)
        seen.append(both)
    assert len({round(float(values.detach().sum()), 5) for values in seen}) == 8, "all paths are drawn, once each"


def test_the_logits_of_the_parent_that_helps_grow():
    model = Model(sharing("ltb", factory("mlp", ONE), search_from=0.0, search_until=1.0))
    end = model.sharing.ends["left"]
    with torch.no_grad():  # one copy of the last stage gives nothing to learn from
        for parameter in model.sharing.levels[-1][1].parameters():
            parameter.zero_().requires_grad_(False)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.02)
    for index in range(60):
        model.sharing.start_step(3, index, index / 60)
        optimizer.zero_grad()
        losses(model, "mlp", ONE, ["left"])[0]["left"].backward()
        optimizer.step()
    assert end.logits[0, 0] > end.logits[0, 1] + 0.1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_branches": 0}, r"sharing.num_branches is 0; at least 1"),
        ({"search_from": 0.5}, r"search_from is 0.5 and sharing.search_until 0.5; .* Use sharing.search_from=0.01"),
        ({"search_until": float("nan")}, r"sharing.search_until nan"),
        ({"temperature": 0.0}, r"sharing.temperature is 0.0; .* Use sharing.temperature=0.5"),
    ],
)
def test_arguments_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        sharing("ltb", factory("mlp", ONE), **settings)
