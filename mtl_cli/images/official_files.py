"""The official MNIST, Fashion-MNIST, EMNIST, CIFAR and SVHN files: found, or downloaded by torchvision."""

import http.client
import os
import socket
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from mtl_cli.errors import UserError, nearest
from mtl_cli.images.idx import read_idx
from mtl_cli.images.splits import Rows

SOURCES = ("packaged", "torchvision")


DOWNLOAD_TIMEOUT = 10.0
"""Seconds that a connection may stay silent before a download is given up."""
DOWNLOAD_ERRORS = (RuntimeError, OSError, ValueError, EOFError, http.client.HTTPException)


@dataclass(frozen=True)
class OfficialSet:
    """Where torchvision keeps the files of a dataset, and how it downloads them.

    `folder` is relative to the root; `flat` says that the files may also lie in the root itself, which is safe where no
    other dataset uses the same names.
    """

    folder: str
    names: tuple[str, ...]
    download: Callable[[Path], object]
    flat: bool


def _mnist(root: Path) -> None:
    from torchvision.datasets import MNIST

    MNIST(root, download=True)


def _fashion_mnist(root: Path) -> None:
    from torchvision.datasets import FashionMNIST

    FashionMNIST(root, download=True)


def _emnist(root: Path) -> None:
    from torchvision.datasets import EMNIST

    EMNIST(root, split="letters", download=True)


def _cifar10(root: Path) -> None:
    from torchvision.datasets import CIFAR10

    CIFAR10(root, download=True)


def _cifar100(root: Path) -> None:
    from torchvision.datasets import CIFAR100

    CIFAR100(root, download=True)


def _svhn(root: Path) -> None:
    from torchvision.datasets import SVHN

    for split in ("train", "test"):
        SVHN(root / "SVHN", split=split, download=True)


def _idx_names(train: str, test: str) -> tuple[str, ...]:
    return tuple(f"{part}-{kind}-ubyte" for part in (train, test) for kind in ("images-idx3", "labels-idx1"))


OFFICIAL = {
    "MNIST": OfficialSet("MNIST/raw", _idx_names("train", "t10k"), _mnist, flat=True),
    "FashionMNIST": OfficialSet("FashionMNIST/raw", _idx_names("train", "t10k"), _fashion_mnist, flat=False),
    "EMNIST": OfficialSet("EMNIST/raw", _idx_names("emnist-letters-train", "emnist-letters-test"), _emnist, flat=True),
    "CIFAR10": OfficialSet(
        "cifar-10-batches-py", (*[f"data_batch_{i}" for i in range(1, 6)], "test_batch"), _cifar10, flat=True
    ),
    "CIFAR100": OfficialSet("cifar-100-python", ("train", "test", "meta"), _cifar100, flat=False),
    "SVHN": OfficialSet("SVHN", ("train_32x32.mat", "test_32x32.mat"), _svhn, flat=True),
}


def official_files(name: str, root: Path) -> list[Path]:
    """Return the files of a dataset in the order of its names, downloading them first where one is missing.

    Raises:
        UserError: a file is missing and cannot be downloaded.
    """
    official = OFFICIAL[name]
    folders = [root / official.folder, root] if official.flat else [root / official.folder]
    found = [_find(file, folders) for file in official.names]
    if None in found:
        missing = [file for file, path in zip(official.names, found, strict=True) if path is None]
        _download(name, official, missing, root)
        found = [_find(file, folders) for file in official.names]
    paths = [path for path in found if path is not None]
    assert len(paths) == len(official.names)
    return paths


def read_official_idx(name: str, root: Path, num_classes: int, first_class: int = 0) -> tuple[Rows, Rows]:
    """Return the official training and test rows: images [N, 1, 28, 28] and classes [N] counted from 0.

    Args:
        name: a key of `OFFICIAL` whose files are idx files.
        root: folder that has them or gets them.
        num_classes: number of classes.
        first_class: label of the first class in the files.

    Raises:
        UserError: a file is missing or damaged.
    """
    train_images, train_labels, test_images, test_labels = official_files(name, root)
    return (
        _read_pair(train_images, train_labels, num_classes, first_class),
        _read_pair(test_images, test_labels, num_classes, first_class),
    )


def checked_rows(images: np.ndarray, labels: np.ndarray, path: Path, num_classes: int) -> Rows:
    """Return rows of images uint8 [N, C, H, W] and labels [N], which were read from `path`.

    Raises:
        UserError: there are fewer than 2 images, not one label per image, or labels outside 0 … num_classes - 1.
    """
    if len(images) < 2 or len(images) != len(labels):
        raise UserError(
            f"{path} has {len(labels)} labels for {len(images)} images. Replace the files by official ones."
        )
    labels = labels.astype(np.int64)
    if labels.min() < 0 or labels.max() >= num_classes:
        raise UserError(
            f"{path} has labels {labels.min()} to {labels.max()} (counted from 0), not 0 to {num_classes - 1}. "
            "Replace the file by the official one."
        )
    return Rows(torch.from_numpy(np.array(images)), torch.from_numpy(labels))


def _read_pair(images: Path, labels: Path, num_classes: int, first_class: int) -> Rows:
    pixels = read_idx(images, ndim=3)
    if pixels.shape[1:] != (28, 28):
        raise UserError(f"{images} has images of {pixels.shape[1:]} pixels, not (28, 28). Replace it.")
    classes = read_idx(labels, ndim=1).astype(np.int64) - first_class
    return checked_rows(pixels[:, None], classes, labels, num_classes)


def _find(name: str, folders: Sequence[Path]) -> Path | None:
    candidates = (folder / file for folder in folders for file in (name, f"{name}.gz"))
    return next((path for path in candidates if path.is_file()), None)


def _download(name: str, official: OfficialSet, missing: Sequence[str], root: Path) -> None:
    folder = root / official.folder
    created = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # A download that breaks off leaves nothing behind: files are moved only when all are there.
        with tempfile.TemporaryDirectory(dir=root, prefix=".download-") as scratch, _short_timeout():
            official.download(Path(scratch))
            for file in missing:
                os.replace(Path(scratch) / official.folder / file, folder / file)
    except DOWNLOAD_ERRORS as error:
        for path in created:
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"{name}: no {', '.join(missing)} in {folder}{f' or {root}' if official.flat else ''}, and the download "
            f"failed ({reason}). Put the files there, or give their folder with data.root=DIR."
        ) from error


@contextmanager
def _short_timeout() -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(DOWNLOAD_TIMEOUT)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def official_root(dataset: str, source: str, root: str | None, sources: Sequence[str] = SOURCES) -> Path | None:
    """Return the folder of the official files, a leading ~ expanded, or None where the packaged copy is meant.

    `sources` are those that the dataset has.

    Raises:
        UserError: there is no such source, the dataset has no packaged copy, or `root` does not go with the source.
    """
    files = "data.source=torchvision data.root=DIR"
    if source not in SOURCES:
        raise UserError(
            f"data.source is '{source}'.{nearest(source, SOURCES)} Known: {', '.join(SOURCES)}. "
            f"Use data.source={sources[0]}."
        )
    if source not in sources:
        raise UserError(f"{dataset} has no {source} copy: data.source is '{source}'. Use {files}.")
    if source == "torchvision":
        if not root:
            raise UserError(f"{dataset} with data.source=torchvision needs the folder of its files. Add data.root=DIR.")
        return Path(root).expanduser()
    if root:
        raise UserError(
            f"{dataset} reads its packaged copy, so data.root={root} would be ignored. Add data.source=torchvision to "
            "use the files there, or drop data.root (tasks.NAME.dataset.root=null drops it for one task)."
        )
    return None
