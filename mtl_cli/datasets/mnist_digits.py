"""Handwritten digits: 10,000 of MNIST inside the package, or the official MNIST files."""

from mtl_cli.batch import FieldSpec, InputSpec
from mtl_cli.datasets.base import Dataset, DataSource, checked_batch_size
from mtl_cli.images.digits import CLASS_NAMES, MEAN, STD, read_digits
from mtl_cli.images.official_files import official_root
from mtl_cli.images.rows import MemoryDataset


class MnistDigits(DataSource):
    """Images [1, 28, 28] with one field, `label`.

    Source: LeCun, Bottou, Bengio, Haffner, "Gradient-based learning applied to document recognition", Proc. IEEE 1998.
    The packaged copy is divided 8,000 / 1,000 / 1,000, stratified by class; of the official training files a
    stratified tenth is the validation split, and the official test files are the test split. Both by a fixed seed.

    Args:
        source: "packaged" or "torchvision".
        root: folder of the official files, in torchvision's layout; only with source "torchvision".
        batch_size: samples drawn a step.

    Raises:
        UserError: an option does not fit, or a file is missing or damaged.
    """

    def __init__(self, source: str, root: str | None, batch_size: int) -> None:
        self.batch_size = checked_batch_size(batch_size)
        splits = read_digits(official_root("mnist_digits", source, root))
        self.input_spec = InputSpec("image", (1, 28, 28))
        self.field_specs = {"label": FieldSpec("class", len(CLASS_NAMES), CLASS_NAMES)}
        self._splits = {
            name: MemoryDataset(rows.images, {"label": rows.labels}, MEAN, STD) for name, rows in splits.items()
        }

    def split(self, name: str) -> Dataset:
        """Return the rows of "train", "val" or "test"."""
        return self._splits[name]
