"""Heads that say where things are learn the size of images from the specs that every sharing mode gives them."""

import pytest
import torch

from mtl_cli.backbones.base import BackboneFactory
from mtl_cli.backbones.lenet import LeNet
from mtl_cli.batch import Inputs, InputSpec
from tests.sharing._inputs import MODES, ONE, backbone, factory, sharing


@pytest.mark.parametrize("mode", MODES)
def test_specs_of_every_mode_know_the_size_of_the_images(mode):
    specs = sharing(mode, factory("unet", ONE)).specs
    assert {task: spec.image for task, spec in specs.items()} == dict.fromkeys(ONE, (12, 12))


def test_images_that_the_stem_resizes_have_no_size():
    specs = {name: InputSpec("image", (1, size, size)) for name, size in (("one", 32), ("two", 28))}
    examples = {name: Inputs(torch.zeros(2, *spec.shape), name) for name, spec in specs.items()}
    of = {"left": "one", "right": "two"}
    resizing = BackboneFactory(LeNet("tanh", 0.0, "default"), examples, specs, of, 0)
    assert resizing.specs[1].image is None
    assert BackboneFactory(backbone("unet"), examples, specs, of, 0).specs[1].image == (32, 32)
