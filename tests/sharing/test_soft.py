import itertools
import math

import pytest
import torch

from tests.sharing._inputs import ONE, TWO, Model, extras, factory, losses, sharing
from tests.sharing._reference import NETS, TASKS, assert_equals, randomised, reference_factory


@pytest.mark.parametrize("net", NETS)
def test_features_are_those_of_a_backbone_a_task(net):
    assert_equals("soft", net, lambda net, w, x: {t: net.trunk(w, f"trunks.{t}", x) for t in TASKS}, strength=0.5)


def test_regularizer_is_the_sum_over_pairs_of_squared_distances():
    mode = randomised(sharing("soft", reference_factory("sequence"), strength=0.7))
    copies = [{key: value.detach().clone().requires_grad_() for key, value in trunk.named_parameters()}
              for trunk in mode.trunks.values()]  # fmt: skip
    pairs = itertools.combinations(copies, 2)
    expected = 0.7 * sum(((one[key] - other[key]) ** 2).sum() for one, other in pairs for key in one)
    got = mode.regularizer()
    torch.testing.assert_close(got, expected, rtol=1e-10, atol=0)
    expected.backward()
    got.backward()
    for copy, trunk in zip(copies, mode.trunks.values(), strict=True):
        for key, parameter in trunk.named_parameters():
            torch.testing.assert_close(parameter.grad, copy[key].grad, rtol=1e-8, atol=1e-10)


def test_stems_of_different_datasets_are_not_tied():
    mode = sharing("soft", factory("tokens", TWO))
    mode.regularizer().backward()
    gradients = {key: parameter.grad for key, parameter in mode.named_parameters()}
    assert {key for key, gradient in gradients.items() if gradient is None} == {
        "trunks.left.0.stems.one.table.weight",
        "trunks.right.0.stems.two.table.weight",
    }


@pytest.mark.parametrize("dataset_of", [ONE, TWO], ids=["one_dataset", "two_datasets"])
def test_strength_0_is_independent_bit_for_bit(dataset_of):
    models = [
        Model(sharing("soft", factory("cnn", dataset_of), strength=0.0)),
        Model(sharing("independent", factory("cnn", dataset_of))),
    ]
    for model in models:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        for _ in range(3):
            optimizer.zero_grad()
            found, shared = losses(model, "cnn", dataset_of, ["left", "right"])
            assert extras(model, shared) == []
            torch.stack(list(found.values())).sum().backward()
            optimizer.step()
    for (key, first), second in zip(models[0].named_parameters(), models[1].parameters(), strict=True):
        assert torch.equal(first, second), key


@pytest.mark.parametrize("strength", [-0.1, math.nan, math.inf])
def test_a_strength_that_is_no_number_from_0_is_refused(strength):
    with pytest.raises(ValueError, match=rf"sharing.strength is {strength}; .*Use sharing.strength=0.001"):
        sharing("soft", factory("mlp", ONE), strength=strength)
