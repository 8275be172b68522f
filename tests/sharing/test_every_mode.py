"""Properties that every sharing mode of conf/sharing has, on every backbone, with one dataset and with two."""

import copy
import inspect
import re

import pytest
import torch
from torch import Tensor, nn

from mtl_cli.batch import Inputs
from mtl_cli.features import Features, FeatureSpec, pool
from tests._thinned import thinned
from tests.sharing._inputs import (
    CASES,
    DATASETS,
    GRID,
    MODES,
    ONE,
    TWO,
    Model,
    arguments,
    extras,
    factory,
    inputs,
    losses,
    sharing,
    target,
    two_sizes,
)

FEEDS_OTHERS = {
    ("cross_stitch", "dataset"): r"columns\.right\.",
    ("cross_attention", "dataset"): r"columns\.right\.",
    ("ple", "yaml"): r"levels\.0\.(own|gates|shared_gate\.blocks)\.right\.",
    ("ple", "many"): r"levels\.0\.(own|gates|shared_gate\.blocks)\.right\.",
}
"""Modules of task "right" whose output reaches task "left" of the same dataset, by definition of the mode."""
HALF = [case for index, case in enumerate(GRID) if (index // 2 + index) % 2]
"""Half of the cases: every mode on every backbone and on every set of datasets."""
every_case = pytest.mark.parametrize(("mode", "variant"), CASES)
everywhere = pytest.mark.parametrize(("mode", "variant", "name", "datasets"), thinned(HALF, 50))
every_dataset = pytest.mark.parametrize("datasets", DATASETS)


def build(mode: str, variant: str, name: str, datasets: str, **overrides) -> Model:
    return Model(sharing(mode, factory(name, DATASETS[datasets]), variant, **overrides))


@pytest.mark.parametrize("mode", MODES)
def test_yaml_lists_the_arguments_of_the_constructor(mode):
    config = arguments(f"sharing/{mode}")
    parameters = inspect.signature(target(config)).parameters.values()
    settable = [each.name for each in parameters if each.kind is not each.KEYWORD_ONLY]
    assert list(config) == ["_target_", *settable]
    assert {each.name for each in parameters} - set(settable) == {"backbone", "tasks"}


@pytest.mark.parametrize(("mode", "variant", "name", "datasets"), thinned(HALF, 25))
def test_loss_falls_by_a_fifth_and_exactly_what_was_reached_changed(mode, variant, name, datasets):
    model = build(mode, variant, name, datasets)
    dataset_of = DATASETS[datasets]
    before = {key: value.detach().clone() for key, value in model.named_parameters()}
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.01)
    history: list[float] = []
    while len(history) < 6 or history[-1] >= 0.8 * history[0]:
        assert len(history) < 60, f"losses {history}"
        model.sharing.start_step(0, len(history), len(history) / 60)
        optimizer.zero_grad()
        found, shared = losses(model, name, dataset_of, ["left", "right"])
        total = torch.stack([*found.values(), *extras(model, shared)]).sum()
        total.backward()
        optimizer.step()
        history.append(sum(loss.item() for loss in found.values()))
    for key, parameter in model.named_parameters():
        assert torch.equal(parameter, before[key]) != parameter.requires_grad, key


@everywhere
def test_a_step_of_one_task_leaves_the_others_modules_alone(mode, variant, name, datasets):
    model = build(mode, variant, name, datasets)
    ran = set()
    for key, module in model.named_modules():
        module.register_forward_hook(lambda *_, key=key: ran.add(key))
    found, _ = losses(model, name, DATASETS[datasets], ["left"])
    found["left"].backward()

    feeding = FEEDS_OTHERS.get((mode, variant)) if datasets == "one_dataset" or mode == "ple" else None
    if mode.startswith("cross") and variant != "dataset":  # partners: all
        feeding = r"(columns|attention)\.right\."
    pattern = re.compile(feeding or r"(?!)")
    of_right = re.compile(r"(^|\.)right(\.|$)")
    for key in ran:
        assert not of_right.search(key) or pattern.search(f"{key}."), f"{key} ran for a batch of task left"
    for key, parameter in model.named_parameters():
        if of_right.search(key) and not pattern.search(key):
            assert parameter.grad is None, key


@everywhere
def test_whatever_runs_reaches_a_task_of_the_batch(mode, variant, name, datasets):
    model = build(mode, variant, name, datasets).train()
    for tasks in (["left"], ["right"]):
        ran: dict[str, nn.Module] = {}
        hooks = [
            module.register_forward_hook(lambda module, _, __, key=key, ran=ran: ran.update({key: module}))
            for key, module in model.named_modules()
        ]
        model.zero_grad(set_to_none=True)
        found, _ = losses(model, name, DATASETS[datasets], tasks)
        found[tasks[0]].backward()
        for hook in hooks:
            hook.remove()
        for key, module in ran.items():
            for parameter in module.parameters(recurse=False):
                assert parameter.grad is not None or not parameter.requires_grad, f"{key} ran in vain"


@everywhere
def test_gradients_through_the_boundary_are_those_of_the_plain_sum(mode, variant, name, datasets):
    model = build(mode, variant, name, datasets).double()
    if not model.sharing.has_boundary:
        assert model.float().sharing(inputs(name, "one"), ["left"], boundary=True).boundary == []
        return
    dataset_of = DATASETS[datasets]
    trained = {key: parameter for key, parameter in model.named_parameters() if parameter.requires_grad}
    parameters = list(trained.values())
    plain, shared = losses_double(model, name, dataset_of, boundary=False)
    assert all(out.boundary == [] for out in shared)
    expected = torch.autograd.grad(plain, parameters)

    total, shared = losses_double(model, name, dataset_of, boundary=True)
    cut = [tensor for out in shared for tensor in out.boundary]
    assert cut
    at_cut = torch.autograd.grad(total, cut, retain_graph=True)
    below = torch.autograd.grad(cut, parameters, at_cut, retain_graph=True, allow_unused=True)
    whole = torch.autograd.grad(total, parameters)
    for gradient, trunk, reference, key in zip(whole, below, expected, trained, strict=True):
        got = gradient if trunk is None else trunk  # a parameter lies below the boundary or above it, never both
        torch.testing.assert_close(got, reference, rtol=1e-9, atol=1e-12, msg=lambda text, key=key: f"{key}: {text}")


def losses_double(model: Model, name: str, dataset_of: dict[str, str], boundary: bool) -> tuple[Tensor, list]:
    found, shared = losses(model, name, dataset_of, ["left", "right"], boundary)
    return torch.stack(list(found.values())).sum(), shared


@pytest.mark.parametrize("name", ["cnn", "skips", "pyramid"])
@every_dataset
@every_case
def test_outputs_of_a_task_do_not_depend_on_who_else_is_asked_for(mode, variant, datasets, name):
    model = build(mode, variant, name, datasets).eval()
    both, _ = losses(model, name, DATASETS[datasets], ["left", "right"])
    for task in ("left", "right"):
        alone, _ = losses(model, name, DATASETS[datasets], [task])
        torch.testing.assert_close(alone[task], both[task], rtol=1e-6, atol=1e-6)


COUNTS_TASKS = ("stitches",)
"""Parts whose initialisation is a function of the number of tasks."""


@pytest.mark.parametrize("third", ["one", "three"])
@every_case
def test_adding_a_task_leaves_every_other_initialisation_as_it_was(mode, variant, third):
    small = sharing(mode, factory("cnn", ONE), variant).state_dict()
    large = sharing(mode, factory("cnn", ONE | {"c": third}), variant).state_dict()
    assert set(small) <= set(large)
    for key, value in small.items():
        if not any(part in key for part in COUNTS_TASKS):
            assert torch.equal(value, large[key]), key


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "ple"])
def test_adding_a_task_with_another_dataset_leaves_initial_outputs_as_they_were(mode):
    apart = {"partners": "dataset"} if mode.startswith("cross") else {}
    small = sharing(mode, factory("cnn", ONE), **apart).eval()
    large = sharing(mode, factory("cnn", ONE | {"c": "three"}), **apart).eval()
    x = inputs("cnn", "one")
    for task, features in small(x, ["left", "right"]).features.items():
        assert torch.equal(features.values, large(x, ["left", "right"]).features[task].values)


@every_case
def test_order_of_tasks_does_not_matter(mode, variant):
    forward = sharing(mode, factory("cnn", ONE), variant).eval()
    backward = sharing(mode, factory("cnn", dict(reversed(ONE.items()))), variant).eval()
    x = inputs("cnn", "one")
    first, second = forward(x, ["left", "right"]).features, backward(x, ["right", "left"]).features
    for task in ONE:
        torch.testing.assert_close(first[task].values, second[task].values, rtol=1e-5, atol=1e-6)


@everywhere
def test_specs_are_those_of_the_features(mode, variant, name, datasets):
    model = build(mode, variant, name, datasets)
    for dataset in dict.fromkeys(DATASETS[datasets].values()):
        tasks = [task for task, of in DATASETS[datasets].items() if of == dataset]
        shared = model.sharing(inputs(name, dataset), tasks)
        assert {task: FeatureSpec.of(of) for task, of in shared.features.items()} == {
            task: model.sharing.specs[task] for task in tasks
        }


@every_case
def test_a_mode_says_truly_whether_all_tasks_get_the_same_features(mode, variant):
    mode = sharing(mode, factory("cnn", ONE), variant)
    mode.start_step(0, 0, 0.9)
    left, right = mode(inputs("cnn", "one"), ["left", "right"]).features.values()
    assert (left is right) >= mode.same_features


@every_case
def test_padding_changes_nothing(mode, variant):
    mode = sharing(mode, factory("tokens", ONE), variant).eval()
    x = inputs("tokens", "one")
    longer = Inputs(torch.cat([x.values, torch.zeros(len(x.values), 3, dtype=torch.long)], dim=1), "one")
    for task, features in mode(x, ["left", "right"]).features.items():
        padded: Features = mode(longer, ["left", "right"]).features[task]
        assert padded.values.shape[1] == features.values.shape[1] + 3
        torch.testing.assert_close(pool(padded), pool(features), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["lenet", "skips"])
@every_case
def test_state_restores_a_new_object_graph_bit_for_bit(mode, variant, name):
    old = Model(sharing(mode, factory(name, TWO, seed=0), variant))
    new = Model(sharing(mode, factory(name, TWO, seed=1), variant))
    new.load_state_dict(old.state_dict())
    for model in (old, new):
        found, shared = losses(model, name, TWO, ["left", "right"])
        torch.stack([*found.values(), *extras(model, shared)]).sum().backward()
    for (key, first), second in zip(old.named_parameters(), new.parameters(), strict=True):
        assert torch.equal(first, second), key
        assert (first.grad is None) == (second.grad is None), key
        assert first.grad is None or torch.equal(first.grad, second.grad), key


@every_case
def test_evaluation_has_no_effect_on_parameters_or_random_state(mode, variant):
    model = sharing(mode, factory("mlp", ONE), variant).eval()
    random, state = torch.get_rng_state(), {key: value.clone() for key, value in model.state_dict().items()}
    with torch.no_grad():
        model(inputs("mlp", "one"), ["left", "right"])
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())


@every_case
def test_datasets_of_different_inputs_come_in_through_stems_of_their_own(mode, variant):
    mode = sharing(mode, two_sizes(), variant)
    for dataset, size in (("one", 9), ("two", 5)):
        task = "left" if dataset == "one" else "right"
        mode(Inputs(torch.randn(4, size), dataset), [task]).features[task].values.sum().backward()
    untouched = [key for key, p in mode.named_parameters() if p.requires_grad and p.grad is None]
    assert untouched == []


@pytest.mark.parametrize("name", ["cnn", "tokens", "skips"])
@every_case
def test_bf16_autocast_gives_nearly_the_same(mode, variant, name):
    mode = sharing(mode, factory(name, ONE), variant)
    x = inputs(name, "one")
    exact = mode(x, ["left", "right"]).features
    with torch.autocast("cpu", torch.bfloat16):
        rough = mode(x, ["left", "right"]).features
    for task, features in exact.items():
        values = rough[task].values.float()
        assert (pool(Features(values, features.mask)) - pool(features)).abs().max() < 0.03 * features.values.abs().max()
    torch.stack([features.values.float().square().sum() for features in rough.values()]).sum().backward()
    assert all(p.grad.isfinite().all() for p in mode.parameters() if p.grad is not None)


@every_case
def test_tasks_and_datasets_may_be_named_as_attributes_of_modules_are(mode, variant):
    named = {"values": "pop", "type": "pop", "half": "keys"}
    mode = sharing(mode, factory("mlp", named), variant)
    assert list(mode(inputs("mlp", "pop"), ["values", "type"]).features) == ["values", "type"]
    assert list(mode(inputs("mlp", "keys"), ["half"]).features) == ["half"]


@every_case
def test_a_deep_copy_is_a_model_of_its_own(mode, variant):
    mode = sharing(mode, factory("lenet", ONE), variant)
    other = copy.deepcopy(mode)
    x = inputs("lenet", "one")
    before = mode(x, ["left"]).features["left"].values
    assert torch.equal(other(x, ["left"]).features["left"].values, before)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(0.1)
    assert torch.equal(mode(x, ["left"]).features["left"].values, before)
    assert not torch.equal(other(x, ["left"]).features["left"].values, before)
