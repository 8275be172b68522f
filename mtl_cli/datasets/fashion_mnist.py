"""Pictures of ten kinds of clothing: the official Fashion-MNIST files."""

from collections.abc import Mapping
from pathlib import Path

from mtl_cli.datasets.image_base import ImageSource
from mtl_cli.images.official_files import read_official_idx
from mtl_cli.images.splits import Rows, hold_out

SPLIT_SEED = 20170825
"""Seed of the validation split; no option of a run changes it."""
MEAN, STD = (0.2860,), (0.3530,)
"""Mean and standard deviation of the official training images, on a scale where white is 1."""
CLASS_NAMES = (
    "T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip


class FashionMnist(ImageSource):
    """Images [1, 28, 28] with one field, `label`.

    Source: H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST", arXiv:1708.07747, 2017. A stratified tenth of the official
    training files by a fixed seed is the validation split; the official test files are the test split.
    """

    name, sources, shape = "fashion_mnist", ("torchvision",), (1, 28, 28)
    official = "FashionMNIST"
    mean, std, class_names = MEAN, STD, CLASS_NAMES

    def read(self, folder: Path | None) -> Mapping[str, Rows]:
        """Return the official images by split."""
        assert folder is not None, "a dataset without a packaged copy has a folder"
        official, test = read_official_idx("FashionMNIST", folder, num_classes=len(CLASS_NAMES))
        train, val = hold_out(official, SPLIT_SEED)
        return {"train": train, "val": val, "test": test}
