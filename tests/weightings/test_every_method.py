"""What holds for every weighting that conf/weighting holds."""

import inspect

import pytest
import torch

from mtl_cli.weightings.gradient_base import GradientWeighting
from mtl_cli.weightings.linalg.jacobian import row_norms
from mtl_cli.weightings.linalg.quadratic import rank
from mtl_cli.weightings.row_base import RowWeighting
from tests._thinned import thinned
from tests.weightings._asserts import assert_no_conflict, assert_same_direction, largest_norm, update_of
from tests.weightings._inputs import (
    GRADIENT_METHODS,
    LOSS_METHODS,
    METHODS,
    ROW_METHODS,
    TinyStep,
    config,
    gradients,
    jacobian,
    load_class,
    make,
    net,
    positive_losses,
    task_names,
    zoo,
)

ZOO = zoo()
FEATURES = [method for method in ROW_METHODS if "features" in load_class(method).levels]
SAFE = [method for method in ROW_METHODS if load_class(method).never_conflicts]
assert len(SAFE) > 2


def test_methods_were_found():
    assert len(ZOO) > 40
    assert {"pcgrad", "upgrad", "mgda"} <= set(FEATURES)


@pytest.mark.parametrize("method", ROW_METHODS)
def test_updates_are_finite_over_the_zoo(method):
    for name, rows in ZOO.items():
        update = update_of(make(method, len(rows)), rows)
        assert update.isfinite().all(), name
        assert largest_norm(update[None]) <= 1e6 * largest_norm(rows) + 1e-300, name


@pytest.mark.parametrize("method", LOSS_METHODS)
def test_totals_and_their_gradients_are_finite_at_any_scale(method):
    for scale in (1e-8, 1e-4, 1.0, 1e4, 1e8):
        for losses in (positive_losses(5).float() * scale, torch.tensor([0.0, 1.0]) * scale, torch.tensor([scale])):
            weighting = make(method, len(losses))
            leaf = losses.clone().requires_grad_()
            total = weighting(leaf, torch.arange(len(losses)))
            total.backward()
            assert total.isfinite(), (scale, losses)
            assert leaf.grad.isfinite().all(), (scale, losses)


@pytest.mark.parametrize("method", ROW_METHODS)
def test_a_common_scale_of_losses_scales_the_update(method):
    for num_tasks in (2, 5, 12):
        rows, losses = jacobian(num_tasks), positive_losses(num_tasks)
        plain = update_of(make(method, num_tasks), rows, losses)
        expected = 1.0 if method != "db_mtl" else None  # gradients of log-losses do not scale
        for scale in (1e-8, 1e-4, 1e4, 1e8):
            scaled = update_of(make(method, num_tasks), rows * scale, losses * scale)
            wanted = plain * (scale if expected else 1.0)
            tolerance = 1e-5 if method not in ("db_mtl", "excess_mtl") else 1e-2  # their papers' eps has a unit
            if method in ("db_mtl", "excess_mtl") and scale < 1e-4:
                continue
            assert_same_direction(scaled, wanted, largest_norm(wanted[None]), tolerance)


@pytest.mark.parametrize("method", [*LOSS_METHODS, *ROW_METHODS])
def test_the_order_of_tasks_does_not_matter(method):
    for num_tasks in (2, 5, 12):
        order = torch.randperm(num_tasks, generator=torch.Generator().manual_seed(1))
        names = task_names(num_tasks)
        overrides = {"primary": names[1]} if "primary" in config(method) else {}
        losses = positive_losses(num_tasks)
        for name in (f"random-{num_tasks}-1", f"far-{num_tasks}", f"scale-{num_tasks}-1e-8"):
            one = make(method, num_tasks, names, **overrides)
            other = make(method, num_tasks, [names[index] for index in order], **overrides)
            rows = ZOO[name]
            if isinstance(one, RowWeighting):
                first, second = update_of(one, rows, losses), update_of(other, rows[order], losses[order])
                assert_same_direction(second, first, largest_norm(rows), 1e-6)
            else:
                total = one(losses, torch.arange(num_tasks))
                assert torch.allclose(other(losses[order], torch.arange(num_tasks)), total, rtol=1e-5)


@pytest.mark.parametrize("method", SAFE)
def test_no_task_is_worked_against(method):
    for rows in ZOO.values():
        assert_no_conflict(update_of(make(method, len(rows)), rows), rows)


@pytest.mark.parametrize("method", ["l2", "loss", "loss+"])
def test_normalised_mgda_works_against_no_task(method):
    for rows in ZOO.values():
        assert_no_conflict(update_of(make("mgda", len(rows), normalization=method), rows), rows)


def test_config_works_against_no_task_where_gradients_are_independent():
    checked = 0
    for rows in ZOO.values():
        used = rows[torch.linalg.vector_norm(rows, dim=1) > 0]
        if len(used) and rank(used @ used.T) == len(used):
            assert_no_conflict(update_of(make("config", len(rows)), rows), rows)
            checked += 1
    assert checked > 20


def test_nash_works_against_no_task_where_there_is_a_solution():
    checked = 0
    for rows in ZOO.values():
        shortest = update_of(make("mgda", len(rows), normalization="l2"), rows)
        if largest_norm(shortest[None]) > 1e-4 * row_norms(rows @ rows.T).max():
            assert_no_conflict(update_of(make("nash_mtl", len(rows)), rows), rows)
            checked += 1
    assert checked > 20


@pytest.mark.parametrize("method", GRADIENT_METHODS)
def test_a_single_task_weighs_one(method):
    for scale in (1e-8, 1.0, 1e8):
        rows = jacobian(1) * scale
        weights = make(method, 1).weigh(rows @ rows.T, positive_losses(1), torch.tensor([0]))
        assert torch.allclose(weights.detach(), torch.ones(1, dtype=torch.float64))


@pytest.mark.parametrize("method", GRADIENT_METHODS)
def test_a_task_with_a_bad_gradient_does_not_reach_the_others(method):
    if not load_class(method).on_cpu:
        return
    rows, losses = jacobian(4, width=3), positive_losses(4)
    gram, fine = rows @ rows.T, torch.tensor([0, 2, 3])
    bad = gram.clone()
    bad[1], bad[:, 1] = torch.nan, torch.nan
    one, other = make(method, 4), make(method, 4)
    weights = one.weigh(bad, losses, torch.arange(4))
    assert torch.equal(weights[fine], other.weigh(gram[fine][:, fine], losses[fine], fine))
    assert weights[1].isnan()
    assert all(value.isfinite().all() for value in one.buffers())


@pytest.mark.parametrize("method", ROW_METHODS)
def test_heads_get_the_gradient_of_their_own_loss(method):
    for level in load_class(method).levels:
        plain, model = net(3), net(3)
        make("equal", 3).backward(TinyStep(plain, task_names(3)))
        weighting = make(method, 3, level=level)
        weighting.backward(TinyStep(model, task_names(3), num_draws=weighting.num_draws))
        if weighting.weighs_heads:
            continue
        wanted, got = gradients(plain), gradients(model)
        assert wanted.keys() == got.keys()
        for name in wanted:
            if name.startswith("heads"):
                assert torch.allclose(got[name], wanted[name], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("method", METHODS)
def test_micro_batches_add_up_to_the_large_batch(method):
    for tasks in (task_names(3), task_names(3)[::2]):
        large, small = net(3), net(3)
        num_draws = load_class(method).num_draws
        make(method, 3).backward(TinyStep(large, tasks, num_draws=num_draws))
        make(method, 3).backward(TinyStep(small, tasks, num_draws=num_draws, num_passes=3))
        wanted, got = gradients(large), gradients(small)
        assert wanted.keys() == got.keys()
        for name in wanted:
            assert torch.allclose(got[name], wanted[name], rtol=1e-3, atol=1e-5), name


@pytest.mark.parametrize("method", METHODS)
def test_weights_returned_are_those_of_the_update(method):
    model = net(3)
    weighting = make(method, 3)
    step = TinyStep(model, task_names(3), num_draws=weighting.num_draws)
    weights = weighting.backward(step)
    if not weights:
        return
    if isinstance(weighting, RowWeighting) and weighting.tracks_gradients:
        return
    total = {name: 0.0 for name, _ in model.trunk.named_parameters()}
    for task, loss in next(TinyStep(model, task_names(3)).passes()).losses.items():
        model.zero_grad()
        loss.backward(retain_graph=True)
        for name, parameter in model.trunk.named_parameters():
            total[name] = total[name] + float(weights[task]) * parameter.grad
    model.zero_grad()
    make(method, 3).backward(step)
    for name, parameter in model.trunk.named_parameters():
        assert torch.allclose(parameter.grad, total[name], rtol=1e-4, atol=1e-6)


def train(method, steps, weighting, model, optimizer, start=0, **overrides):
    """Take steps of different sets of tasks, with an end of epoch after every third."""
    everyone = task_names(4)
    for index in range(start, start + steps):
        absent = None if weighting.needs_all_tasks else {1: 0, 3: 2, 4: 1}.get(index)
        tasks = tuple(name for number, name in enumerate(everyone) if number != absent)
        num_passes = 2 if index == 5 else 1
        step = TinyStep(model, tasks, index=index, num_passes=num_passes, num_draws=weighting.num_draws)
        optimizer.zero_grad()
        weighting.backward(step)
        optimizer.step()
        weighting.after_step(step)
        if index % 3 == 2:
            weighting.after_epoch()


def start(method, **overrides):
    model, weighting = net(4), make(method, 4, **overrides)
    groups = [{"params": list(model.parameters())}]
    if own := list(weighting.parameters()):
        groups.append({"params": own, "lr": weighting.lr})
    return weighting, model, torch.optim.AdamW(groups, lr=0.01)


VARIANTS = [(method, {}) for method in METHODS]
VARIANTS += [(method, {"level": "features"}) for method in FEATURES]
VARIANTS += [(method, {"update_every": 3, "match_norm": "sum"}) for method in GRADIENT_METHODS]
VARIANTS += [("imtl", {"balance": "gradients"}), ("stch", {"warmup_epochs": 1})]


@pytest.mark.parametrize(("method", "overrides"), thinned(VARIANTS, 40))
def test_a_resumed_run_equals_one_that_was_not_disturbed(method, overrides, tmp_path):
    weighting, model, optimizer = start(method, **overrides)
    train(method, 8, weighting, model, optimizer)
    first, abandoned, first_optimizer = start(method, **overrides)
    train(method, 4, first, abandoned, first_optimizer)
    saved = [first.state_dict(), abandoned.state_dict(), first_optimizer.state_dict()]
    torch.save(saved, tmp_path / "state.pt")
    saved = torch.load(tmp_path / "state.pt", weights_only=True)
    second, resumed, optimizer = start(method, **overrides)
    for part, state in zip((second, resumed, optimizer), saved, strict=True):
        part.load_state_dict(state)
    train(method, 4, second, resumed, optimizer, start=4)
    assert_equal_states(second, weighting)
    assert_equal_states(resumed, model)


def assert_equal_states(one, other):
    for (name, first), (_, second) in zip(one.state_dict().items(), other.state_dict().items(), strict=True):
        if isinstance(first, torch.Tensor):
            assert torch.equal(first.nan_to_num(7.0), second.nan_to_num(7.0)), name
        else:
            assert str(first) == str(second), name


@pytest.mark.parametrize("method", METHODS)
def test_an_absent_task_keeps_its_state(method):
    weighting, model, optimizer = start(method)
    train(method, 1, weighting, model, optimizer)
    before = {name: value.clone() for name, value in weighting.named_buffers()}
    step = TinyStep(model, task_names(4)[:2], index=1, num_draws=weighting.num_draws)
    weighting.backward(step)
    weighting.after_step(step)
    for name, value in weighting.named_buffers():
        if len(value) == 4:
            assert torch.equal(value[2:].nan_to_num(7.0), before[name][2:].nan_to_num(7.0)), name


ARGUMENTS = [(method, name) for method in METHODS for name in config(method) if name != "_target_"]


@pytest.mark.parametrize(("method", "name"), ARGUMENTS)
def test_an_argument_out_of_range_is_refused_by_its_name(method, name):
    bad = {"primary": "nobody", "relations": [[1.0]]}.get(
        name, "oddly" if isinstance(config(method)[name], str) else -1
    )
    with pytest.raises(ValueError, match=rf"weighting\.{name} must be .*Try weighting\.{name}="):
        make(method, 3, **{name: bad})


@pytest.mark.parametrize("method", METHODS)
def test_the_docstring_gives_the_source(method):
    text = inspect.getdoc(load_class(method))
    assert method in ("fixed", "equal") or "Source: " in text


@pytest.mark.parametrize("method", GRADIENT_METHODS)
def test_norm_matching_gives_the_norm_of_the_sum(method):
    rows, losses = jacobian(5), positive_losses(5)
    weighting = make(method, 5, match_norm="sum")
    assert isinstance(weighting, GradientWeighting)
    update = weighting.weigh(rows @ rows.T, losses, torch.arange(5)).detach() @ rows
    assert torch.allclose(update.norm(), rows.sum(dim=0).norm())
