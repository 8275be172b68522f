"""The arithmetic of a mode, counted by torch, is what its equations say: multiply-adds of each layer that must run."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from tests.sharing._inputs import ONE, factory, inputs, sharing

B = 8
STAGES = [144 * 16, 16 * 16, 16 * 16]  # of the tiny multi-layer perceptron on 12×12 images
TRUNK = sum(STAGES)
GATES = {"experts": 4 * 16, "level": 2 * 16, "shared": 3 * 16}  # a linear gate, or a mixture, of 4, 2 or 3 experts
COSTS = {
    "hard": (TRUNK, TRUNK),
    "independent": (TRUNK, 2 * TRUNK),
    "soft": (TRUNK, 2 * TRUNK),
    "hierarchical": (STAGES[0], TRUNK),  # the left task is attached after the first stage
    "mmoe": (sum(STAGES[:2]) + 4 * STAGES[2] + 2 * GATES["experts"], TRUNK + 3 * STAGES[2] + 4 * GATES["experts"]),
    "cgc": (
        sum(STAGES[:2]) + 2 * STAGES[2] + 2 * GATES["level"],
        sum(STAGES[:2]) + 3 * STAGES[2] + 4 * GATES["level"],
    ),
    "ple": (  # below the last level every expert and the shared gate run, and the gates of tasks that are asked for
        STAGES[0] + 3 * STAGES[1] + 2 * GATES["shared"] + 2 * STAGES[2] + 4 * GATES["level"],
        STAGES[0] + 3 * STAGES[1] + 2 * GATES["shared"] + 3 * STAGES[2] + 8 * GATES["level"],
    ),
    "cross_stitch": (2 * TRUNK, 2 * TRUNK),
}
"""Multiply-adds a sample of one task alone and of both together, by mode."""


def multiply_adds(mode, tasks):
    made = sharing(mode, factory("mlp", ONE))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        made(inputs("mlp", "one"), tasks)
    return counter.get_total_flops() / (2 * B)


@pytest.mark.parametrize("mode", COSTS)
def test_multiply_adds_are_those_of_the_layers_that_are_needed(mode):
    assert (multiply_adds(mode, ["left"]), multiply_adds(mode, ["left", "right"])) == COSTS[mode]
