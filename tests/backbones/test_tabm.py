import pytest
import torch

from mtl_cli.backbones.base import BackboneFactory
from mtl_cli.backbones.tabm import TabM
from mtl_cli.batch import Inputs, InputSpec
from mtl_cli.features import run_stages

SPEC = InputSpec("table", (5,), (4, 3))


def tabm(**changes):
    arguments = {
        "width": 6,
        "blocks": 2,
        "members": 3,
        "pieces": 4,
        "embedding": 2,
        "dropout": 0.1,
        "activation": "relu",
        "init": "default",
    }
    return TabM(**{**arguments, **changes})


def rows(size=4):
    stream = torch.Generator().manual_seed(size)
    categorical = torch.stack([torch.randint(0, count, (size,), generator=stream) for count in (4, 3)], dim=1)
    return Inputs({"numeric": torch.randn(size, 3, generator=stream), "categorical": categorical}, "a")


def factory(backbone, seed=0):
    return BackboneFactory(backbone, {"a": rows(2)}, {"a": SPEC}, {"a": "a"}, seed)


def test_it_equals_a_written_out_network_of_each_member():
    stages = factory(tabm())().eval()
    with torch.no_grad():
        for parameter in stages.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
    x = rows()
    out = run_stages(stages, x).values
    table, begin = stages[0].stems["a"]
    pieces = table.numbers(x.values["numeric"])
    vectors = [table.embed.table(x.values["categorical"][:, 0]), table.embed.table(4 + x.values["categorical"][:, 1])]
    stem = torch.cat([pieces, *vectors], dim=1) @ table.project.weight.T + table.project.bias
    for member in range(3):
        h = stem * begin.factors[member] + begin.bias[member]
        for block in stages[1:]:
            layer = block.linear
            mixed = (h * layer.before[member]) @ layer.linear.weight.T * layer.after[member] + layer.bias[member]
            h = h + mixed.clamp(min=0)
        torch.testing.assert_close(out[member::3], h)


def test_one_member_is_a_plain_residual_network_with_a_row_a_sample():
    assert run_stages(factory(tabm(members=1))(), rows()).values.shape == (4, 6)


def test_members_differ_from_the_start_and_by_the_seed():
    out = run_stages(factory(tabm())().eval(), rows()).values.unflatten(0, (4, 3))
    assert (out[:, 0] - out[:, 1]).abs().min(dim=1).values.max() > 0
    other = run_stages(factory(tabm(), seed=1)().eval(), rows()).values.unflatten(0, (4, 3))
    assert not torch.equal(out, other)


@pytest.mark.parametrize(
    "changes", [{"width": 0}, {"blocks": 0}, {"members": 0}, {"pieces": -1}, {"embedding": 0}, {"dropout": 1.0}]
)
def test_values_that_do_not_fit_are_refused(changes):
    with pytest.raises(ValueError, match=r"Use for example backbone\.|dropout is 1\.0"):
        tabm(**changes)
