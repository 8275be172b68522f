"""The handwritten digits in use: the packaged 10,000 or the official MNIST files, in three splits."""

import functools
from pathlib import Path

import torch

from mtl_cli.images.official_files import read_official_idx
from mtl_cli.images.packaged import read_packaged
from mtl_cli.images.splits import Rows, hold_out, stratified

SPLIT_SEED = 20170106
"""Seed of the split into training, validation and test rows; no option of a run changes it."""
MEAN, STD = (0.1307,), (0.3081,)
"""Mean and standard deviation of the official 60,000 training images, where white is 1; used for every source."""
CLASS_NAMES = tuple("0123456789")


def read_digits(root: Path | None) -> dict[str, Rows]:
    """Return images [N, 1, 28, 28] and digits [N] by split: the official files in `root`, else the packaged copy.

    Raises:
        UserError: a file is missing or damaged.
    """
    if root is None:
        return packaged_digits()
    official, test = read_official_idx("MNIST", root, num_classes=10)
    train, val = hold_out(official, SPLIT_SEED)
    return {"train": train, "val": val, "test": test}


@functools.cache
def packaged_digits() -> dict[str, Rows]:
    """Return the packaged digits, divided 8,000 / 1,000 / 1,000 with the classes in proportion."""
    shapes = {"images": (10_000, 28, 28), "labels": (10_000,)}
    arrays = read_packaged("mnist_digits_10k.npz", shapes)
    rows = Rows(torch.from_numpy(arrays["images"]).unsqueeze(1), torch.from_numpy(arrays["labels"]).long())
    parts = stratified(rows.labels, [1_000, 1_000], SPLIT_SEED)
    return {name: rows.take(part) for name, part in zip(("train", "val", "test"), parts, strict=True)}
