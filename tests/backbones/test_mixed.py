"""Inputs of every kind come to one vector, and share what lies above."""

import pytest
import torch

from mtl_cli.backbones.base import BackboneFactory
from mtl_cli.backbones.mixed import Mixed
from mtl_cli.batch import Inputs, InputSpec
from mtl_cli.features import run_stages
from tests.backbones.test_text_base import batch

SPECS = {
    "picture": InputSpec("image", (3, 9, 14)),
    "row": InputSpec("table", (4,), (5, 3)),
    "point": InputSpec("vector", (6,)),
    "words": InputSpec("text", (), (30,)),
}
VALUES = {
    "picture": torch.randn(4, 3, 9, 14),
    "row": {"numeric": torch.randn(4, 2), "categorical": torch.randint(0, 3, (4, 2))},
    "point": torch.randn(4, 6),
    "words": batch([3, 6, 1, 2], 6),
}


def factory():
    backbone = Mixed([10, 8], [4, 4], 3, 0.1, "relu", "default")
    examples = {name: Inputs(values, name) for name, values in VALUES.items()}
    return BackboneFactory(backbone, examples, SPECS, {f"task_{name}": name for name in SPECS}, 0)


def test_every_kind_comes_to_the_same_spec_through_stems_of_its_own():
    made = factory()
    assert [spec.shape for spec in made.specs] == [(10,), (10,), (8,)]
    stages = made()
    for name, values in VALUES.items():
        stages.zero_grad()
        run_stages(stages, Inputs(values, name)).values.square().sum().backward()
        reached = {
            key.split(".")[2] for key, p in stages.named_parameters() if key.startswith("0.") and p.grad is not None
        }
        assert len(reached) == 1
        assert all(p.grad is not None for stage in list(stages)[1:] for p in stage.parameters())


def test_padding_of_texts_changes_nothing():
    stages = factory()().eval()
    short, long = (run_stages(stages, Inputs(batch([3, 6, 1], width), "words")).values for width in (6, 11))
    torch.testing.assert_close(short, long, rtol=0, atol=1e-5)


def test_other_kinds_are_refused():
    with pytest.raises(ValueError, match="dataset 'a' has sound inputs"):
        Mixed([10], [4], 3, 0.1, "relu", "default").common_input({"a": InputSpec("sound", (9,))})
