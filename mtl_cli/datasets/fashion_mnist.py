"""Pictures of ten kinds of clothing: the official Fashion-MNIST files."""

from mtl_cli.batch import FieldSpec, InputSpec
from mtl_cli.datasets.base import Dataset, DataSource, checked_batch_size
from mtl_cli.images.official_files import official_root, read_official_idx
from mtl_cli.images.rows import MemoryDataset
from mtl_cli.images.splits import hold_out

SPLIT_SEED = 20170825
"""Seed of the validation split; no option of a run moves it."""
MEAN, STD = (0.2860,), (0.3530,)
"""Of the official training images, on a scale where white is 1."""
CLASS_NAMES = (
    "T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip


class FashionMnist(DataSource):
    """Images [1, 28, 28] with one field, `label`.

    Source: H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST", arXiv:1708.07747, 2017. A stratified tenth of the official
    training files by a fixed seed is the validation split; the official test files are the test split.

    Args:
        source: "torchvision"; there is no packaged copy.
        root: folder that has FashionMNIST/raw, or gets it.
        batch_size: samples drawn a step.

    Raises:
        UserError: an option does not fit, or a file is missing or damaged.
    """

    def __init__(self, source: str, root: str | None, batch_size: int) -> None:
        self.batch_size = checked_batch_size(batch_size)
        folder = official_root("fashion_mnist", source, root, sources=["torchvision"])
        assert folder is not None, "a dataset without a packaged copy has a folder"
        official, test = read_official_idx("FashionMNIST", folder, num_classes=len(CLASS_NAMES))
        train, val = hold_out(official, SPLIT_SEED)
        self.input_spec = InputSpec("image", (1, 28, 28))
        self.field_specs = {"label": FieldSpec("class", len(CLASS_NAMES), CLASS_NAMES)}
        self._splits = {
            name: MemoryDataset(rows.images, {"label": rows.labels}, MEAN, STD)
            for name, rows in (("train", train), ("val", val), ("test", test))
        }

    def split(self, name: str) -> Dataset:
        """Return the rows of "train", "val" or "test"."""
        return self._splits[name]
