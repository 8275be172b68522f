import pytest

from tests.sharing._reference import NETS, TASKS, assert_equals


@pytest.mark.parametrize("net", NETS)
def test_equals_a_backbone_a_task(net):
    assert_equals("independent", net, lambda net, w, x: {t: net.trunk(w, f"trunks.{t}", x) for t in TASKS})
