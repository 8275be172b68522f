"""Two overlapping digits in one image: MultiMNIST, composed from the digits in use."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mtl_cli.datasets.image_base import ImageSource
from mtl_cli.images.digits import CLASS_NAMES, read_digits
from mtl_cli.images.splits import Rows

PAIR_SEEDS = {"train": 20171026, "val": 20171027, "test": 20171028}
"""Seeds of the pairs of each split; no option of a run changes them."""
MEAN, STD = (0.1524,), (0.3001,)
"""Mean and standard deviation of the composites of packaged training digits, where white is 1; for every source."""
DIGIT, CANVAS = 28, 36


class MultiMnist(ImageSource):
    """Images [1, 28, 28] of two digits with the fields `left` (top-left digit) and `right` (bottom-right digit).

    Source: S. Sabour, N. Frosst, G. Hinton, "Dynamic Routing Between Capsules", NIPS 2017, for the overlapping digits
    on a canvas of 36 by 36; O. Sener, V. Koltun, "Multi-Task Learning as Multi-Objective Optimization", NeurIPS 2018,
    for the two tasks. The digits are overlaid by their maximum, and the canvas is resized to 28 by 28, bilinearly with
    antialiasing.

    Differs from Sabour et al. in that digits do not move at random and may be of one class, and from both in the
    number of images: each split has as many composites as digits, and every digit of the split is once the left and
    once the right one, never beside itself. A split is composed of its own digits only.
    """

    name, shape, fields = "multi_mnist", (1, DIGIT, DIGIT), ("left", "right")
    official, packaged = "MNIST", "mnist_digits_10k.npz"
    mean, std, class_names = MEAN, STD, CLASS_NAMES

    def read(self, folder: Path | None) -> Mapping[str, Rows]:
        """Return the digits that are composed, by split."""
        return read_digits(folder)

    def labelled(self, rows: Rows, split: str) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Return the composites of a split and the classes of their digits."""
        return compose(rows, PAIR_SEEDS[split])


def compose(digits: Rows, seed: int) -> tuple[Tensor, dict[str, Tensor]]:
    """Return as many composites as there are digits, and the classes of the digits in them."""
    left, right = pairs(len(digits.labels), seed)
    parts = range(0, len(left), 8192)  # so that the canvases of a part fit into memory as floats
    images = [
        overlay(digits.images[left[start : start + 8192]], digits.images[right[start : start + 8192]])
        for start in parts
    ]
    return torch.cat(images), {"left": digits.labels[left], "right": digits.labels[right]}


def pairs(num_digits: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return the rows [N] of the left and of the right digits: neighbours on one seeded ring of all digits.

    The permutation is NumPy's legacy one, whose stream is frozen, so that pairs never change with a version.
    """
    ring = torch.from_numpy(np.random.RandomState(seed).permutation(num_digits))
    return ring, ring.roll(-1)


def overlay(left: Tensor, right: Tensor) -> Tensor:
    """Return composites uint8 [N, 1, 28, 28] of left and right digits uint8 [N, 1, 28, 28]."""
    canvas = torch.zeros(len(left), 1, CANVAS, CANVAS, dtype=torch.uint8)
    canvas[:, :, :DIGIT, :DIGIT] = left
    corner = canvas[:, :, CANVAS - DIGIT :, CANVAS - DIGIT :]
    torch.maximum(corner, right, out=corner)
    resized = F.interpolate(canvas.float(), (DIGIT, DIGIT), mode="bilinear", align_corners=False, antialias=True)
    return resized.round().clamp(0, 255).byte()
