"""Every way of sharing takes texts with table columns, on every stage, and learns from the columns."""

import pytest
import torch
from torch.nn import functional as F

from mtl_cli.backbones.base import BackboneFactory
from mtl_cli.batch import Inputs, InputSpec
from tests._thinned import thinned
from tests.sharing import _inputs
from tests.sharing._inputs import CASES, TWO, Model, sharing, tables, texts

SPECS = {
    "one": InputSpec("text_table", (), (20,), None, InputSpec("table", (7,), (4, 3))),
    "two": InputSpec("text", (), (20,)),
}


def values(dataset, size):
    return Inputs(texts(size) | (tables(size) if dataset == "one" else {}), dataset)


@pytest.mark.parametrize(("mode", "variant"), thinned([case for case in CASES if case[1] == "yaml"], 2))
def test_a_mode_learns_from_columns_beside_texts_and_from_texts_alone(mode, variant):
    examples = {name: values(name, 2) for name in SPECS}
    factory = BackboneFactory(_inputs.backbone("gru"), examples, SPECS, TWO, 0)
    torch.manual_seed(0)
    model = Model(sharing(mode, factory, variant))
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(trained, 0.03)
    one, two = values("one", 24), values("two", 24)
    answers = (one.values["numeric"][:, 0] > 0).long(), (two.values["ids"][:, 0] > 9).long()

    def losses():
        left, right = model(one, ["left"])[0]["left"], model(two, ["right"])[0]["right"]
        return torch.stack([F.cross_entropy(left, answers[0]), F.cross_entropy(right, answers[1])])

    before = losses().detach()
    for _ in range(25):
        optimizer.zero_grad()
        losses().sum().backward()
        optimizer.step()
    assert (losses() < 0.8 * before).all()
    if variant != "frozen":
        columns = [parameter for name, parameter in model.named_parameters() if ".columns." in name]
        assert columns
        assert all(parameter.grad is not None for parameter in columns)
