import torch

from tests.sharing._inputs import ONE, factory, inputs, sharing


def test_features_are_those_of_hard_sharing_times_a_gain():
    x = inputs("mlp", "one")
    hard, gains = (sharing(mode, factory("mlp", ONE)).eval() for mode in ("hard", "gains"))
    with torch.no_grad():
        gains.gains["right"].factor.fill_(-2.0)
    plain, changed = (mode(x, ["left", "right"]).features for mode in (hard, gains))
    assert torch.equal(changed["left"].values, plain["left"].values)
    assert torch.equal(changed["right"].values, -2.0 * plain["right"].values)
