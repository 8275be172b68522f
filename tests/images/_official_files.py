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
