import torch

from mtl_cli.model.costs import costs
from mtl_cli.model.partition import partition
from tests import _models
from tests._models import TWO

# By hand. Images are 3×8×12 for both datasets (the stem resizes digits): conv 3→3, 3×3, on 8×12 positions; pooling to
# 4×6; dense 72→5; heads 5→3. A multiply-add counts as two, biases and activations as nothing.
TRUNK = (3 * 3 * 9 + 3) + (3 * 4 * 6 * 5 + 5)
HEAD = 5 * 3 + 3
TRUNK_FLOPS = 2 * (8 * 12 * 3 * 3 * 9) + 2 * (72 * 5)
HEAD_FLOPS = 2 * 5 * 3
# Alone, tasks a and b have a trunk for 1×8×8 images, conv 1→3 and dense 48→5; c has one for its 3×8×12.
SMALL = (3 * 9 + 3) + (3 * 4 * 4 * 5 + 5)
SMALL_FLOPS = 2 * (8 * 8 * 3 * 9) + 2 * (48 * 5)
ALONE = {"a": SMALL + HEAD, "b": SMALL + HEAD, "c": TRUNK + HEAD}
ALONE_FLOPS = {"a": SMALL_FLOPS + HEAD_FLOPS, "b": SMALL_FLOPS + HEAD_FLOPS, "c": TRUNK_FLOPS + HEAD_FLOPS}


def counted(sharing, freeze=False):
    model, factory, tasks = _models.build(sharing, TWO)
    if freeze:
        model.heads["a"].requires_grad_(False)
    examples = _models.examples(TWO)
    return costs(model, partition(model, examples, TWO), factory, tasks, examples), model


def test_hard_sharing_costs_one_trunk_and_a_head_a_task():
    found, _ = counted("hard")
    assert found.total == found.trained == TRUNK + 3 * HEAD
    assert found.shared == TRUNK
    assert found.specific == {"a": HEAD, "b": HEAD, "c": HEAD}
    assert found.flops == {"digits": TRUNK_FLOPS + 2 * HEAD_FLOPS, "signs": TRUNK_FLOPS + HEAD_FLOPS}
    assert found.independent_parameters == ALONE
    assert found.independent_flops == ALONE_FLOPS
    assert found.products == {"digits": 2 + 2, "signs": 2 + 1}  # a convolution, a dense layer, and heads


def test_independent_networks_cost_what_is_said_beside_hard_sharing():
    found, _ = counted("independent")
    assert found.shared == 0
    assert found.specific == ALONE
    assert found.total == sum(found.independent_parameters.values())
    assert sum(found.flops.values()) == sum(found.independent_flops.values())


def test_frozen_parameters_count_in_the_total_only():
    found, _ = counted("hard", freeze=True)
    assert found.total == TRUNK + 3 * HEAD
    assert found.trained == TRUNK + 2 * HEAD
    assert found.specific["a"] == 0


def test_the_record_sums_up():
    found, _ = counted("hard")
    record = found.record()
    assert record["parameters"]["independent"] == sum(ALONE.values())
    assert record["flops"]["total"] == 2 * TRUNK_FLOPS + 3 * HEAD_FLOPS
    assert record["flops"]["independent"] == sum(ALONE_FLOPS.values())
    assert record["parameters"]["total"] == found.total


def test_counting_leaves_the_model_and_the_random_stream_as_they_were():
    model, factory, tasks = _models.build("hard", TWO)
    examples = _models.examples(TWO)
    parts = partition(model, examples, TWO)
    model.train()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    torch.manual_seed(2)
    expected = torch.rand(3)
    torch.manual_seed(2)
    costs(model, parts, factory, tasks, examples)
    assert model.training
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.rand(3), expected)
