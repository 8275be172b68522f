import pytest
import torch

from mtl_cli.backbones.cnn import CNN
from mtl_cli.model.multi_task_model import MultiTaskModel
from mtl_cli.model.partition import partition
from mtl_cli.sharing.base import Shared, Sharing
from tests import _models
from tests._models import ONE, TWO


def reached_by_perturbing(model, dataset_of):
    """Return the tasks whose output changes when a parameter does, by parameter."""
    inputs = _models.examples(dataset_of, rows=6, seed=3)
    model.eval()

    def outputs():
        with torch.no_grad():
            return {task: model(inputs[dataset], [task]).outputs[task] for task, dataset in dataset_of.items()}

    reached, before = {}, outputs()
    for parameter in model.parameters():
        kept = parameter.detach().clone()
        with torch.no_grad():
            parameter.add_(torch.randn_like(parameter))
        after = outputs()
        reached[parameter] = {task for task in before if not torch.equal(before[task], after[task])}
        with torch.no_grad():
            parameter.copy_(kept)
    return reached


def ids(parameters):
    return [id(parameter) for parameter in parameters]


@pytest.mark.parametrize("sharing", ["hard", "independent"])
@pytest.mark.parametrize("dataset_of", [ONE, TWO, {"a": "digits"}, {"a": "digits", "c": "signs"}])
@pytest.mark.parametrize("frozen", [None, "head", "trunk"])
def test_shared_parameters_are_those_whose_change_reaches_two_tasks_or_more(sharing, dataset_of, frozen):
    model, _, _ = _models.build(sharing, dataset_of)
    if frozen == "head":
        model.heads["a"].requires_grad_(False)
    if frozen == "trunk":
        next(model.sharing.parameters()).requires_grad_(False)
    reached = reached_by_perturbing(model, dataset_of)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    found = partition(model, _models.examples(dataset_of), dataset_of)
    assert ids(found.shared) == ids(p for p in trained if len(reached[p]) > 1)
    assert {task: ids(own) for task, own in found.specific.items()} == {
        task: ids(p for p in trained if reached[p] == {task}) for task in dataset_of
    }
    if sharing == "hard" and len(dataset_of) > 1:
        assert found.shared
    else:
        assert not found.shared
    heads = set(ids(model.heads.parameters()))
    if sharing == "hard":  # the boundary is the trunk's output
        assert ids(found.trunk) == [each for each in ids(trained) if each not in heads]
    else:
        assert not found.trunk
    assert ids(found.above) == [each for each in ids(trained) if each not in set(ids(found.trunk))]


def test_tasks_that_are_not_trained_share_nothing():
    model, _, _ = _models.build("hard", TWO)
    found = partition(model, _models.examples(TWO), {"b": "digits"})
    assert not found.shared
    assert list(found.specific) == ["b"]
    heads = [*model.heads["a"].parameters(), *model.heads["c"].parameters()]
    assert set(ids(found.specific["b"])) == set(ids(model.parameters())) - set(ids(heads))


def test_finding_the_partition_leaves_no_trace():
    backbone = CNN(channels=[3], dense=[5], dropout=0.5, activation="relu", norm="batch", init="default")
    model, _, _ = _models.build("hard", TWO, backbone=backbone)
    model.train()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    torch.manual_seed(4)
    expected = torch.rand(3)
    torch.manual_seed(4)
    partition(model, _models.examples(TWO), TWO)
    assert torch.equal(torch.rand(3), expected)
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def test_a_frozen_model_has_no_shared_parameters():
    model, _, _ = _models.build("hard", ONE)
    model.requires_grad_(False)
    found = partition(model, _models.examples(ONE), ONE)
    assert (found.shared, found.trunk, found.above) == ([], [], [])
    assert not any(found.specific.values())


def test_heads_are_seeded_by_their_names():
    first, _, _ = _models.build("hard", {"a": "digits", "b": "digits", "c": "signs"})
    fewer, _, _ = _models.build("hard", {"c": "signs", "b": "digits"})
    other, _, _ = _models.build("hard", ONE, seed=1)
    for name in ("b", "c"):
        for left, right in zip(first.heads[name].parameters(), fewer.heads[name].parameters(), strict=True):
            assert torch.equal(left, right)
    weights = [next(model.heads[name].parameters()) for model in (first, other) for name in ("a", "b")]
    for index, left in enumerate(weights):
        for right in weights[:index]:
            assert not torch.equal(left, right)


def test_adding_a_task_changes_no_other_tasks_initial_outputs():
    few, _, _ = _models.build("independent", {"a": "digits"})
    many, _, _ = _models.build("independent", ONE)
    inputs = _models.examples(ONE)["digits"]
    few.eval()
    many.eval()
    assert torch.equal(few(inputs, ["a"]).outputs["a"], many(inputs, ["a", "b"]).outputs["a"])


class Halved(Sharing):
    """Gives bfloat16 features and a penalty."""

    def __init__(self, inner):
        super().__init__()
        self.inner, self.specs = inner, inner.specs

    def forward(self, inputs, tasks, boundary=False):
        shared = self.inner(inputs, tasks, boundary)
        return Shared(shared.features, shared.boundary, torch.tensor(2.0))


def test_outputs_are_float32_for_the_tasks_that_were_asked_for_with_boundary_and_penalty():
    model, _, _ = _models.build("hard", ONE)
    wrapped = MultiTaskModel(Halved(model.sharing), dict(model.heads.items())).eval()
    inputs = _models.examples(ONE)["digits"]
    with torch.autocast("cpu", torch.bfloat16):
        out = wrapped(inputs, ["b"], boundary=True)
    assert list(out.outputs) == ["b"]
    assert out.outputs["b"].dtype == torch.float32
    assert out.penalty == 2.0
    assert len(out.boundary) == 1
    assert not wrapped(inputs, ["b"]).boundary
