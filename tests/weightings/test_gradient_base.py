import pytest
import torch

from mtl_cli.weightings import row_base
from mtl_cli.weightings.pcgrad import PCGrad
from mtl_cli.weightings.row_base import RowWeighting
from mtl_cli.weightings.step_base import Setting
from tests.weightings._inputs import GRADIENT_METHODS, TinyStep, gradients, jacobian, make, net, task_names


class Given(PCGrad):
    """Weights that a test gives."""

    def __init__(self, weights, level="parameters", update_every=1):
        super().__init__(level, update_every, "none", tasks=task_names(len(weights)))
        self.given = torch.tensor(weights, dtype=torch.float64)
        self.solved = 0

    def forward(self, gramian, losses, present):
        self.solved += 1
        return self.given[present]


def weighted(weights, tasks, **options):
    """Gradients of Σ wᵢLᵢ in the trunk and of each own loss in the heads, by autograd."""
    model = net(len(weights))
    losses = next(TinyStep(model, tasks, **options).passes()).losses
    trunk = list(model.trunk.parameters())
    total = sum(weights[int(task[-1])] * loss for task, loss in losses.items())
    for parameter, grad in zip(trunk, torch.autograd.grad(total, trunk, retain_graph=True), strict=True):
        parameter.grad = grad
    for task, loss in losses.items():
        head = list(model.heads[task].parameters())
        for parameter, grad in zip(head, torch.autograd.grad(loss, head, retain_graph=True), strict=True):
            parameter.grad = grad
    return gradients(model)


def assert_same(got, wanted):
    assert got.keys() == wanted.keys()
    for name in wanted:
        assert torch.allclose(got[name], wanted[name], rtol=1e-4, atol=1e-6), name


WEIGHTS = [[1.0, 1.0, 1.0], [0.2, 3.0, -1.0], [0.0, 1.0, 2.0], [1e-9, 1.0, 2.0], [0.0, 0.0, 0.0]]


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("level", ["parameters", "features"])
@pytest.mark.parametrize("num_passes", [1, 3])
def test_the_trunk_is_weighted_and_heads_are_not(weights, level, num_passes):
    for tasks in (task_names(3), task_names(3)[1:]):
        model = net(3)
        used = Given(weights, level).backward(TinyStep(model, tasks, num_passes=num_passes))
        assert_same(gradients(model), weighted(weights, tasks))
        assert [float(used[task]) for task in tasks] == pytest.approx([weights[int(task[-1])] for task in tasks])


@pytest.mark.parametrize("weights", WEIGHTS[:-1])
@pytest.mark.parametrize("level", ["parameters", "features"])
@pytest.mark.parametrize("num_passes", [1, 3])
def test_reused_weights_give_the_same_gradients_with_one_solve(weights, level, num_passes):
    weighting = Given(weights, level, update_every=3)
    for index in range(7):
        for tasks in (task_names(3),):
            model = net(3)
            step = TinyStep(model, tasks, index=index, num_passes=num_passes)
            weighting.backward(step)
            assert_same(gradients(model), weighted(weights, tasks, index=index))
    assert weighting.solved == 3


def test_reuse_costs_one_backward(monkeypatch):
    calls = []
    original = torch.autograd.backward
    monkeypatch.setattr(torch.autograd, "backward", lambda *a, **k: (calls.append(1), original(*a, **k))[1])
    weighting, model = Given([1.0, 2.0, 3.0], update_every=4), net(3)
    counts = []
    for index in range(5):
        calls.clear()
        weighting.backward(TinyStep(model, task_names(3), index=index))
        counts.append(len(calls))
    assert counts == [3, 1, 1, 1, 3]


def test_a_task_that_was_absent_when_weights_were_found_calls_for_new_ones():
    weighting, model = Given([1.0, 2.0, 3.0], update_every=10), net(3)
    for tasks, solved in ((task_names(3)[:2], 1), (task_names(3)[:1], 1), (task_names(3), 2), (task_names(3)[1:], 2)):
        weighting.backward(TinyStep(model, tasks, index=weighting.found_at + 1))
        assert weighting.solved == solved or len(tasks) == 1


def test_weights_that_are_not_finite_are_not_reused():
    weighting, model = Given([1.0, float("nan"), 3.0], update_every=10), net(3)
    for index in range(2):
        weighting.backward(TinyStep(model, task_names(3), index=index))
    assert weighting.solved == 2


@pytest.mark.parametrize("level", ["parameters", "features"])
def test_cosines_conflicts_and_norm_are_noted_on_log_steps(level):
    model, tasks = net(3), task_names(3)
    step = TinyStep(model, tasks)
    make("pcgrad", 3, level=level).backward(step)
    pairs = {"cosine/task0/task1", "cosine/task0/task2", "cosine/task1/task2"}
    assert set(step.notes) == pairs | {"conflicts", "update_norm"}
    cosines = torch.stack([step.notes[name] for name in sorted(pairs)])
    assert float(step.notes["conflicts"]) == pytest.approx(float((cosines < 0).double().mean()))
    if level == "parameters":
        update = torch.cat([parameter.grad.flatten() for parameter in model.trunk.parameters()])
        assert float(step.notes["update_norm"]) == pytest.approx(float(update.norm()), rel=1e-5)
    quiet = TinyStep(net(3), tasks, logging=False)
    make("pcgrad", 3, level=level).backward(quiet)
    assert quiet.notes == {}


def test_of_many_tasks_no_cosines_of_pairs_are_noted():
    notes = {}

    class Noting:
        def note(self, name, value):
            notes[name] = value

    rows = jacobian(row_base.MAX_PAIRED + 1)
    tasks = task_names(len(rows))
    RowWeighting._note(Noting(), tasks, rows @ rows.T, torch.tensor(1.0))
    assert set(notes) == {"conflicts", "update_norm"}
    RowWeighting._note(Noting(), tasks[:-1], (rows @ rows.T)[:-1, :-1], torch.tensor(1.0))
    assert len(notes) == 2 + row_base.MAX_PAIRED * (row_base.MAX_PAIRED - 1) // 2


@pytest.mark.parametrize("method", GRADIENT_METHODS)
def test_gradients_are_the_same_whether_a_step_is_logged_or_not(method):
    results = []
    for logging in (True, False):
        model = net(3)
        make(method, 3).backward(TinyStep(model, task_names(3), logging=logging))
        results.append(gradients(model))
    assert all(torch.equal(results[0][name], results[1][name]) for name in results[0])


SETTING = {"weights": {"task0": 1.0, "task1": 1.0}, "num_datasets": 1, "num_shared": 9}


def problems(method="pcgrad", num_tasks=2, has_boundary=True, **changes):
    options = {key: changes.pop(key) for key in list(changes) if key in ("level",)}
    setting = Setting(**{**SETTING, "has_boundary": has_boundary, "always_all": True, **changes})
    return make(method, num_tasks, **options).problems(setting)


def test_what_cannot_serve_a_run_is_said_with_an_override():
    assert problems() == problems(level="features") == []
    assert "weighting.level=parameters" in problems(level="features", num_datasets=2)[0]
    assert "weighting.level=parameters" in problems(level="features", has_boundary=False)[0]
    assert "sharing=hard" in problems(num_shared=0)[0]
    assert "weighting=fixed" in problems(num_tasks=1)[0]
    assert "tasks.task1.weight=1 " in problems("equal", weights={"task0": 1.0, "task1": 0.5})[0]
    assert problems("equal") == []


def test_a_level_that_a_method_does_not_have_is_refused():
    with pytest.raises(ValueError, match=r"weighting\.level must be parameters, not 'features'"):
        make("moco", 2, level="features")
