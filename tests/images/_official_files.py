"""Writes small files that are byte for byte in the formats of MNIST, EMNIST and CIFAR-10, under the official names."""

import gzip
import pickle
import struct
from pathlib import Path
from typing import ClassVar

import numpy as np


def idx_bytes(array):
    """The idx format, written independently of the reader: 0, 0, 8 = unsigned bytes, ndim, sizes, content."""
    return bytes([0, 0, 8, array.ndim]) + b"".join(struct.pack(">i", size) for size in array.shape) + array.tobytes()


def write_idx(path, array, packed=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    content = idx_bytes(array)
    if packed:
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(content))
    else:
        path.write_bytes(content)


def random_rows(num, num_classes, first_class=0, seed=0, size=(28, 28)):
    draw = np.random.RandomState(seed)
    images = draw.randint(0, 256, (num, *size)).astype(np.uint8)
    labels = (draw.permutation(num) % num_classes + first_class).astype(np.uint8)
    return images, labels


def write_pair(folder, prefix, rows, packed=False):
    images, labels = rows
    write_idx(folder / f"{prefix}-images-idx3-ubyte", images, packed)
    write_idx(folder / f"{prefix}-labels-idx1-ubyte", labels, packed)


def write_mnist(folder: Path, packed=False, num_train=200, num_test=50):
    """MNIST or Fashion-MNIST in `folder`; returns its training and test rows."""
    train, test = random_rows(num_train, 10, seed=1), random_rows(num_test, 10, seed=2)
    write_pair(folder, "train", train, packed)
    write_pair(folder, "t10k", test, packed)
    return train, test


def write_emnist(folder: Path, packed=False, num_train=520, num_test=104):
    """EMNIST letters in `folder` as published: transposed, labelled 1 … 26; returns rows as they are stored."""
    train, test = random_rows(num_train, 26, 1, seed=3), random_rows(num_test, 26, 1, seed=4)
    write_pair(folder, "emnist-letters-train", train, packed)
    write_pair(folder, "emnist-letters-test", test, packed)
    return train, test


class Python2Pickler(pickle._Pickler):
    """Writes byte strings as Python 2 did, which is how the published CIFAR-10 files are pickled."""

    dispatch: ClassVar = dict(pickle._Pickler.dispatch)

    def save_str2(self, text):
        content = text.encode("latin-1") if isinstance(text, str) else text
        self.write(b"T" + struct.pack("<i", len(content)) + content)
        self.memoize(text)

    dispatch[bytes] = dispatch[str] = save_str2


def write_python2_pickle(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        Python2Pickler(file, protocol=2).dump(value)
    path.write_bytes(path.read_bytes().replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n"))


def write_cifar10(root: Path, num_batch=40, num_test=20, writer=write_python2_pickle):
    """CIFAR-10's Python version in `root`; returns the training and test pixels [N, 3072] and labels."""
    folder, parts = root / "cifar-10-batches-py", []
    names = [*[f"data_batch_{i}" for i in range(1, 6)], "test_batch"]
    for seed, name in enumerate(names):
        num = num_test if name == "test_batch" else num_batch
        pixels, labels = random_rows(num, 10, seed=10 + seed, size=(3072,))
        batch = {
            "batch_label": name,
            "labels": labels.tolist(),
            "data": pixels,
            "filenames": [f"{i}.png" for i in labels],
        }
        writer(folder / name, batch)
        parts.append((pixels, labels))
    train = tuple(np.concatenate([part[i] for part in parts[:-1]]) for i in (0, 1))
    return train, parts[-1]


def linear_resize(image, height, width):
    """Bilinear resizing with antialiasing of one image [H, W], by its definition as a triangular filter."""

    def weights(size, out):
        scale = size / out
        reach = max(scale, 1.0)
        matrix = np.zeros((out, size))
        for i in range(out):
            for j in range(size):
                matrix[i, j] = max(0.0, 1 - abs((j + 0.5) - (i + 0.5) * scale) / reach)
            matrix[i] /= matrix[i].sum()
        return matrix

    return weights(image.shape[0], height) @ image.astype(np.float64) @ weights(image.shape[1], width).T


def write_cifar100(root: Path, num_train=400, num_test=100, writer=write_python2_pickle):
    """CIFAR-100's Python version in `root`; returns pixels [N, 3072] and fine labels of training and test images.

    Class k is in group (7·k) mod 20.
    """
    folder, parts = root / "cifar-100-python", []
    for name, num in (("train", num_train), ("test", num_test)):
        pixels, fine = random_rows(num, 100, seed=num, size=(3072,))
        fine = [int(label) for label in fine]
        entries = {"data": pixels, "fine_labels": fine, "coarse_labels": [7 * label % 20 for label in fine]}
        writer(folder / name, entries)
        parts.append((pixels, np.array(fine)))
    names = {"fine": [f"kind {k}" for k in range(100)], "coarse": [f"group {k}" for k in range(20)]}
    writer(folder / "meta", {f"{key}_label_names": value for key, value in names.items()})
    return parts


def write_svhn(folder: Path, num_train=200, num_test=50):
    """SVHN's cropped digits in `folder`, 10 standing for a zero; returns pixels [N, 3, 32, 32] and digits."""
    from scipy.io import savemat

    folder.mkdir(parents=True, exist_ok=True)
    parts = []
    for seed, (name, num) in enumerate((("train", num_train), ("test", num_test))):
        pixels, digits = random_rows(num, 10, seed=seed, size=(3, 32, 32))
        labels = np.where(digits == 0, 10, digits).astype(np.uint8)[:, None]
        savemat(folder / f"{name}_32x32.mat", {"X": pixels.transpose(2, 3, 1, 0), "y": labels})
        parts.append((pixels, digits.astype(np.int64)))
    return parts
