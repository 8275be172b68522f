import pytest
from torch import nn

from mtl_cli.layers.named_modules import NamedModules


@pytest.mark.parametrize("name", ["type", "half", "values", "forward", "training", "letters", "pop", "T"])
def test_any_name_is_kept_and_found_again(name):
    modules = NamedModules({name: nn.Linear(2, 3), "other": nn.Linear(1, 1)})
    assert list(modules) == [name, "other"]
    assert [key for key, _ in modules.items()] == [name, "other"]
    assert name in modules
    assert "missing" not in modules
    assert modules[name].out_features == 3
    assert modules.training is True
    parameter = next(iter(modules.named_parameters()))[0]
    assert modules.get_parameter(parameter) is modules[name].weight


def test_state_goes_from_one_to_another():
    one, other = (NamedModules({"type": nn.Linear(2, 3), "letters": nn.Linear(2, 2)}) for _ in range(2))
    other.load_state_dict(one.state_dict())
    assert all((one[name].weight == other[name].weight).all() for name in one)
    assert set(one.state_dict()) == {"type_.weight", "type_.bias", "letters.weight", "letters.bias"}


def test_a_name_that_would_be_mistaken_for_another_is_refused():
    with pytest.raises(ValueError, match="'type_' cannot be distinguished from 'type'"):
        NamedModules({"type_": nn.Linear(1, 1)})
