"""Colour photographs of a hundred kinds of things in twenty groups: the official CIFAR-100 files."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mtl_cli.datasets.image_base import ImageSource
from mtl_cli.errors import UserError
from mtl_cli.images.cifar_files import read_batch, read_names
from mtl_cli.images.official_files import checked_rows, official_files
from mtl_cli.images.splits import Rows, hold_out

SPLIT_SEED = 20090409
"""Seed of the validation split; no option of a run changes it."""
MEAN, STD = (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)
"""Mean and standard deviation of red, green and blue in the official training images, where white is 1."""
NUM_FINE, NUM_COARSE = 100, 20


class Cifar100(ImageSource):
    """Images [3, 32, 32] with the fields `label`, one of 100 classes, and `group`, one of 20 groups of five classes.

    Source: A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009. A tenth of the official
    training file, stratified by `label` by a fixed seed, is the validation split; the official test file is the test
    split. Names of classes are those of the official file `meta`.
    """

    name, sources, shape, fields = "cifar100", ("torchvision",), (3, 32, 32), ("label", "group")
    official = "CIFAR100"
    mean, std = MEAN, STD

    def read(self, folder: Path | None) -> Mapping[str, Rows]:
        """Return the official images with their classes by split."""
        assert folder is not None, "a dataset without a packaged copy has a folder"
        train_file, test_file, names_file = official_files("CIFAR100", folder)
        self._names = read_names(names_file, "fine_label_names", "coarse_label_names")
        counts = [len(names) for names in self._names]
        if counts != [NUM_FINE, NUM_COARSE]:
            raise UserError(
                f"{names_file} names {counts[0]} classes and {counts[1]} groups, not 100 and 20. Replace it."
            )
        images, labels, groups = read_batch(train_file, "fine_labels", "coarse_labels")
        test_images, test_labels, test_groups = read_batch(test_file, "fine_labels", "coarse_labels")
        train, val = hold_out(checked_rows(images, labels, train_file, NUM_FINE), SPLIT_SEED)
        test = checked_rows(test_images, test_labels, test_file, NUM_FINE)
        checked_rows(images, groups, train_file, NUM_COARSE)
        self._group_of = np.zeros(NUM_FINE, dtype=np.int64)
        self._group_of[labels] = groups
        for path, own, expected in ((train_file, labels, groups), (test_file, test_labels, test_groups)):
            if (self._group_of[own] != expected).any():
                raise UserError(f"{path} has a class in two groups. Replace the files by official ones.")
        return {"train": train, "val": val, "test": test}

    def names_of(self, field: str) -> tuple[str, ...]:
        """Return the names of the classes or groups."""
        return self._names[self.fields.index(field)]

    def labelled(self, rows: Rows, split: str) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Return the images and their classes and groups."""
        return rows.images, {"label": rows.labels, "group": torch.from_numpy(self._group_of)[rows.labels]}
