"""Handwritten digits: 10,000 of MNIST inside the package, or the official MNIST files."""

from collections.abc import Mapping
from pathlib import Path

from mtl_cli.datasets.image_base import ImageSource
from mtl_cli.images.digits import CLASS_NAMES, MEAN, STD, read_digits
from mtl_cli.images.splits import Rows


class MnistDigits(ImageSource):
    """Images [1, 28, 28] with one field, `label`.

    Source: LeCun, Bottou, Bengio, Haffner, "Gradient-based learning applied to document recognition", Proc. IEEE 1998.
    The packaged copy is divided 8,000 / 1,000 / 1,000, stratified by class. A stratified tenth of the official training
    files is the validation split, and the official test files are the test split. A fixed seed divides both.
    """

    name, shape = "mnist_digits", (1, 28, 28)
    official, packaged = "MNIST", "mnist_digits_10k.npz"
    mean, std, class_names = MEAN, STD, CLASS_NAMES

    def read(self, folder: Path | None) -> Mapping[str, Rows]:
        """Return the digits by split."""
        return read_digits(folder)
