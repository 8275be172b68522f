import pytest

from tests.sharing._reference import NETS, TASKS, assert_equals


@pytest.mark.parametrize("net", NETS)
def test_equals_one_backbone_for_all(net):
    assert_equals("hard", net, lambda net, w, x: dict.fromkeys(TASKS, net.trunk(w, "trunk", x)))
