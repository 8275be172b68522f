import pytest
import torch
from torch.nn import functional as F

from mtl_cli.batch import Inputs, InputSpec
from mtl_cli.features import Features, run_stages
from tests.backbones._inputs import factory, mlp


@pytest.mark.parametrize("spec", [InputSpec("vector", (12,)), InputSpec("image", (3, 2, 2))])
def test_it_equals_a_written_out_network_on_flattened_inputs(spec):
    stages = factory(mlp(), {"a": spec})().eval()
    w1, b1, w2, b2 = stages.parameters()
    values = torch.randn(3, *spec.shape)
    expected = F.relu(F.linear(F.relu(F.linear(values.reshape(3, 12), w1, b1)), w2, b2))
    torch.testing.assert_close(run_stages(stages, Inputs(values, "a")).values, expected)


def test_inputs_of_one_size_share_all_layers_whatever_their_shape():
    specs = {"a": InputSpec("vector", (12,)), "b": InputSpec("image", (1, 3, 4))}
    made = factory(mlp(), specs)
    assert made.specs[0].shape == (12,)
    assert not list(made()[0].parameters())


def test_inputs_of_other_sizes_get_a_linear_stem_to_the_first_width():
    specs = {"a": InputSpec("vector", (5,)), "b": InputSpec("image", (1, 3, 4))}
    made = factory(mlp(hidden=[10, 7]), specs)
    stages = made().eval()
    assert [tuple(p.shape) for p in stages[0].parameters()] == [(10, 5), (10,), (10, 12), (10,)]
    values = torch.randn(2, 1, 3, 4)
    weight, bias = stages[0].stems["b"].parameters()
    expected = stages[1:](Features(F.linear(values.flatten(1), weight, bias))).values
    torch.testing.assert_close(run_stages(stages, Inputs(values, "b")).values, expected)


def test_values_and_inputs_that_do_not_fit_are_refused():
    for arguments in ({"hidden": []}, {"hidden": [3, 0]}, {"dropout": 1.0}, {"activation": "x"}, {"init": "x"}):
        with pytest.raises(ValueError, match=r"backbone\.hidden|dropout|There is no"):
            mlp(**arguments)
    with pytest.raises(ValueError, match="dataset 't' has text inputs"):
        mlp().common_input({"t": InputSpec("text", (5,))})
