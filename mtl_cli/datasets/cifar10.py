"""Colour photographs of ten kinds of things: the official CIFAR-10 files."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mtl_cli.datasets.image_base import ImageSource
from mtl_cli.images.cifar_files import read_batch
from mtl_cli.images.official_files import checked_rows, official_files
from mtl_cli.images.splits import Rows, hold_out

SPLIT_SEED = 20090408
"""Seed of the validation split; no option of a run changes it."""
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
"""Mean and standard deviation of red, green and blue in the official training images, where white is 1."""
CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


class Cifar10(ImageSource):
    """Images [3, 32, 32] with one field, `label`.

    Source: A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009. A stratified tenth of the
    official training files by a fixed seed is the validation split; the official test file is the test split.
    """

    name, sources, shape = "cifar10", ("torchvision",), (3, 32, 32)
    official = "CIFAR10"
    mean, std, class_names = MEAN, STD, CLASS_NAMES

    def read(self, folder: Path | None) -> Mapping[str, Rows]:
        """Return the official images by split."""
        assert folder is not None, "a dataset without a packaged copy has a folder"
        *train_files, test_file = official_files("CIFAR10", folder)
        batches = [read_batch(path, "labels") for path in train_files]
        images, labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
        train, val = hold_out(checked_rows(images, labels, train_files[0].parent, len(CLASS_NAMES)), SPLIT_SEED)
        images, labels = read_batch(test_file, "labels")
        return {"train": train, "val": val, "test": checked_rows(images, labels, test_file, len(CLASS_NAMES))}
