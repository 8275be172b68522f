import pytest
import torch

from tests.sharing._inputs import ONE, TWO, factory, inputs, sharing
from tests.sharing._reference import NETS, assert_equals


@pytest.mark.parametrize("net", NETS)
def test_equals_one_trunk_per_group(net):
    def expected(net, w, x):
        shared = net.trunk(w, "trunks.left", x)
        return {"left": shared, "right": net.trunk(w, "trunks.right", x), "third": shared}

    assert_equals("groups", net, expected, groups=[["third", "left"], ["right"]])


def same(one, other):
    x = inputs("lenet", "one")
    found = [mode(x, ["left", "right"]).features for mode in (one, other)]
    return all(torch.equal(found[0][task].values, found[1][task].values) for task in ("left", "right"))


def test_one_group_is_hard_sharing_and_a_group_for_each_task_is_none_bit_for_bit():
    hard, alone = (sharing(name, factory("lenet", ONE)) for name in ("hard", "independent"))
    assert same(sharing("groups", factory("lenet", ONE), groups=None), hard)
    assert same(sharing("groups", factory("lenet", ONE), groups=[["right", "left"]]), hard)
    assert same(sharing("groups", factory("lenet", ONE), groups=[["left"], ["right"]]), alone)
    assert same(sharing("groups", factory("lenet", ONE), groups=[["right"]]), alone)  # a task that is left out


def test_no_trunk_runs_that_no_task_of_the_batch_reads():
    mode = sharing("groups", factory("lenet", ONE), groups=[["left"], ["right"]])
    ran = []
    for name, trunk in mode.trunks.items():
        trunk.register_forward_hook(lambda *_, name=name: ran.append(name))
        for stage in trunk:
            stage.register_forward_hook(lambda *_, name=name: ran.append(name))
    mode(inputs("lenet", "one"), ["right"])
    assert set(ran) == {"right"}


def test_a_trunk_has_stems_for_the_datasets_of_its_group_only():
    mode = sharing("groups", factory("tokens", TWO), groups=[["left"], ["right"]])
    names = {name for name, _ in mode.named_parameters() if ".stems." in name}
    assert {name.split(".stems.")[0] + "/" + name.split(".stems.")[1].split(".")[0] for name in names} == {
        "trunks.left.0/one",
        "trunks.right.0/two",
    }


def test_bad_groups_are_reported_together():
    made = factory("lenet", ONE)
    with pytest.raises(ValueError, match="names the task 'letf'") as error:
        sharing("groups", made, groups=[["letf", "right"], ["right"], []])
    text = str(error.value)
    assert "Did you mean 'left'?" in text
    assert "names the task 'right' 2 times. Put it into one group." in text
    assert "has an empty group" in text
