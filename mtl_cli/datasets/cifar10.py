"""Colour photographs of ten kinds of things: the official CIFAR-10 files."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mtl_cli.datasets.image_base import ImageSource
from mtl_cli.images.idx import broken
from mtl_cli.images.official_files import checked_rows, official_files
from mtl_cli.images.plain_pickle import read_plain_pickle
from mtl_cli.images.splits import Rows, hold_out

SPLIT_SEED = 20090408
"""Seed of the validation split; no option of a run changes it."""
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
"""Mean and standard deviation of red, green and blue in the official training images, where white is 1."""
CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
IMAGE = (3, 32, 32)


class Cifar10(ImageSource):
    """Images [3, 32, 32] with one field, `label`.

    Source: A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009. A stratified tenth of the
    official training files by a fixed seed is the validation split; the official test file is the test split.
    """

    name, sources, shape = "cifar10", ("torchvision",), IMAGE
    official = "CIFAR10"
    mean, std, class_names = MEAN, STD, CLASS_NAMES

    def read(self, folder: Path | None) -> Mapping[str, Rows]:
        """Return the official images by split."""
        assert folder is not None, "a dataset without a packaged copy has a folder"
        *train_files, test_file = official_files("CIFAR10", folder)
        batches = [read_batch(path) for path in train_files]
        images, labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
        train, val = hold_out(checked_rows(images, labels, train_files[0].parent, len(CLASS_NAMES)), SPLIT_SEED)
        return {"train": train, "val": val, "test": checked_rows(*read_batch(test_file), test_file, len(CLASS_NAMES))}


def read_batch(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the images uint8 [N, 3, 32, 32] and labels [N] of one file of CIFAR-10's Python version.

    The file is a pickle; it is read as plain data (`mtl_cli.images.plain_pickle`), so that none of its code runs.

    Raises:
        UserError: the file is damaged or of another format.
    """
    try:
        content = read_plain_pickle(path)
        entries = {key.decode() if isinstance(key, bytes) else key: value for key, value in content.items()}
        images, labels = entries["data"], np.asarray(entries["labels"], dtype=np.int64)
        if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.shape != (len(labels), 3072):
            raise ValueError(f"{len(labels)} labels do not go with its data")
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise broken(path, error, "CIFAR-10 batch") from error
    return images.reshape(-1, *IMAGE), labels
