"""Colour photographs of house numbers, cropped to a digit: the official SVHN files."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mtl_cli.datasets.image_base import ImageSource
from mtl_cli.errors import not_installed
from mtl_cli.images.digits import CLASS_NAMES
from mtl_cli.images.idx import broken
from mtl_cli.images.official_files import checked_rows, official_files
from mtl_cli.images.splits import Rows, hold_out

SPLIT_SEED = 20111217
"""Seed of the validation split; no option of a run changes it."""
MEAN, STD = (0.4377, 0.4438, 0.4728), (0.1980, 0.2010, 0.1970)
"""Mean and standard deviation of red, green and blue in the official training images, where white is 1."""


class Svhn(ImageSource):
    """Images [3, 32, 32] with one field, `label`, the digit in the middle.

    Source: Y. Netzer et al., "Reading Digits in Natural Images with Unsupervised Feature Learning", NIPS workshop 2011:
    format 2, train_32x32.mat and test_32x32.mat. A stratified tenth of the training file by a fixed seed is the
    validation split.
    """

    name, sources, shape = "svhn", ("torchvision",), (3, 32, 32)
    official = "SVHN"
    mean, std, class_names = MEAN, STD, CLASS_NAMES

    def read(self, folder: Path | None) -> Mapping[str, Rows]:
        """Return the official images by split."""
        assert folder is not None, "a dataset without a packaged copy has a folder"
        train_file, test_file = official_files("SVHN", folder)
        train, val = hold_out(read_digits_file(train_file), SPLIT_SEED)
        return {"train": train, "val": val, "test": read_digits_file(test_file)}


def read_digits_file(path: Path) -> Rows:
    """Return the rows of a MATLAB file of SVHN, which holds X uint8 [32, 32, 3, N] and y [N, 1], where 10 is a zero.

    Raises:
        UserError: the file is damaged or of another format.
    """
    try:
        from scipy.io import loadmat
        from scipy.io.matlab import MatReadError
    except ImportError as error:
        raise not_installed("SciPy reads the files of SVHN", error, "images") from error
    try:
        content = loadmat(path, variable_names=("X", "y"))
        images, labels = content["X"], content["y"].reshape(-1).astype(np.int64)
        if images.dtype != np.uint8 or images.shape != (32, 32, 3, len(labels)):
            raise ValueError(f"{len(labels)} labels do not go with X {images.shape}")
    except (MatReadError, OSError, ValueError, KeyError, TypeError, NotImplementedError) as error:
        raise broken(path, error, "file of SVHN") from error
    return checked_rows(images.transpose(3, 2, 0, 1), labels % 10, path, len(CLASS_NAMES))
