import pytest
import torch

from tests.sharing._inputs import ONE, factory, inputs, sharing
from tests.sharing._reference import NETS, TASKS, assert_equals

DEPTHS = {"left": 1, "right": 2, "third": 3}


@pytest.mark.parametrize("net", NETS)
def test_equals_a_trunk_read_at_several_depths(net):
    attach = {task: depth for task, depth in DEPTHS.items() if task != "third"}
    assert_equals(
        "hierarchical", net, lambda net, w, x: {t: net.trunk(w, "trunk", x, DEPTHS[t]) for t in TASKS}, attach=attach
    )


def test_no_attach_is_hard_sharing_bit_for_bit():
    x = inputs("lenet", "one")
    first = sharing("hierarchical", factory("lenet", ONE), attach=None)(x, ["left"]).features["left"].values
    assert torch.equal(first, sharing("hard", factory("lenet", ONE))(x, ["left"]).features["left"].values)


def test_runs_only_as_deep_as_the_tasks_of_the_batch_need():
    mode = sharing("hierarchical", factory("lenet", ONE), attach={"left": "conv2"})
    ran = []
    for index, stage in enumerate(mode.trunk):
        stage.register_forward_hook(lambda *_, index=index: ran.append(index))
    mode(inputs("lenet", "one"), ["left"])
    assert ran == [0, 1, 2]
    mode(inputs("lenet", "one"), ["left", "right"])
    assert ran == [0, 1, 2, 0, 1, 2, 3, 4]


def test_stages_that_no_task_needs_are_not_made():
    assert len(sharing("hierarchical", factory("lenet", ONE), attach={"left": 1, "right": "conv2"}).trunk) == 3


def test_unknown_tasks_and_stages_are_reported_together_with_the_nearest():
    with pytest.raises(ValueError, match="unknown task 'letf'") as error:
        sharing_with({"letf": 1, "right": "cnov2"})
    lines = str(error.value).splitlines()
    assert lines[0] == "sharing.attach has an unknown task 'letf'. Did you mean 'left'? The tasks: left, right."
    assert "sharing.attach.right is 'cnov2'" in lines[1]
    assert "Did you mean 'conv2'" in lines[1]
    assert "1=conv1, 2=conv2, 3=dense1, 4=dense2" in lines[1]


@pytest.mark.parametrize("stage", [0, 5, -1])
def test_a_stage_number_out_of_range_is_refused(stage):
    with pytest.raises(ValueError, match=rf"sharing.attach.left is {stage}\. The backbone has no stage '{stage}'"):
        sharing_with({"left": stage})


def sharing_with(attach):
    from mtl_cli.sharing.hierarchical import Hierarchical

    made = factory("lenet", ONE)
    return Hierarchical(attach, backbone=made, tasks=made.tasks)
