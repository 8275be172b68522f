"""Handwritten lower-case letters: 52,152 inside the package, or the official EMNIST letters."""

import functools
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mtl_cli.datasets.image_base import ImageSource
from mtl_cli.images.official_files import read_official_idx
from mtl_cli.images.packaged import read_packaged
from mtl_cli.images.splits import Rows, hold_out

SPLIT_SEED = 20170218
"""Seed of EMNIST's validation split; no option of a run changes it."""
MEAN, STD = (0.0785,), (0.2296,)
"""Mean and standard deviation of the packaged training images, where white is 1; used for every source."""
TEST_FOLD, VAL_FOLD = 0, 1
CLASS_NAMES = tuple("abcdefghijklmnopqrstuvwxyz")
NUM_GLYPHS = 52_152
GLYPH, DRAWN, IMAGE = (16, 8), (20, 14), (28, 28)


class Letters(ImageSource):
    """Images [1, 28, 28], upright, with one field, `label`: a … z are classes 0 … 25.

    Packaged: R. Kassel's OCR glyphs (B. Taskar, C. Guestrin, D. Koller, "Max-Margin Markov Networks", NIPS 2003),
    divided by fold: 0 test, 1 validation, the others training. A fold holds whole words, but the data has only 55
    distinct words. Official: G. Cohen, S. Afshar, J. Tapson, A. van Schaik, "EMNIST", IJCNN 2017, split "letters", of
    whose training files a stratified tenth by a fixed seed is the validation split.
    """

    name, shape = "letters", (1, *IMAGE)
    official, packaged = "EMNIST", "ocr_letters_52k.npz"
    mean, std, class_names = MEAN, STD, CLASS_NAMES

    def read(self, folder: Path | None) -> Mapping[str, Rows]:
        """Return the letters by split."""
        return packaged_letters() if folder is None else official_letters(folder)


@functools.cache
def packaged_letters() -> dict[str, Rows]:
    """Return the packaged letters by split."""
    shapes = {"images": (NUM_GLYPHS, 16), "labels": (NUM_GLYPHS,), "fold": (NUM_GLYPHS,)}
    arrays = read_packaged("ocr_letters_52k.npz", shapes)
    rows = Rows(draw_glyphs(arrays["images"]), torch.from_numpy(arrays["labels"]).long())
    fold = torch.from_numpy(arrays["fold"]).long()
    held = {"val": fold == VAL_FOLD, "test": fold == TEST_FOLD}
    parts = {"train": ~(held["val"] | held["test"]), **held}
    return {name: rows.take(part.nonzero().squeeze(1)) for name, part in parts.items()}


def draw_glyphs(packed: np.ndarray) -> Tensor:
    """Return images uint8 [N, 1, 28, 28] of glyphs of 16 by 8 bits, packed [N, 16].

    The glyphs fill their boxes. They are resized to 20 by 14 with antialiasing and centred, as MNIST's digits are.
    """
    bits = np.unpackbits(packed, axis=1).reshape(-1, 1, *GLYPH)
    images = torch.zeros(len(bits), 1, *IMAGE, dtype=torch.uint8)
    top, left = ((whole - part) // 2 for whole, part in zip(IMAGE, DRAWN, strict=True))
    inner = images[:, :, top : top + DRAWN[0], left : left + DRAWN[1]]
    for start in range(0, len(bits), 8192):
        glyphs = torch.from_numpy(bits[start : start + 8192]).float() * 255
        drawn = F.interpolate(glyphs, DRAWN, mode="bilinear", align_corners=False, antialias=True)
        inner[start : start + 8192] = drawn.round().clamp(0, 255).byte()
    return images


def official_letters(root: Path) -> dict[str, Rows]:
    """Return the official EMNIST letters in `root` by split, upright and counted from 0.

    In the files every image is transposed and the labels are 1 … 26.
    """
    train, test = (upright(rows) for rows in read_official_idx("EMNIST", root, num_classes=26, first_class=1))
    train, val = hold_out(train, SPLIT_SEED)
    return {"train": train, "val": val, "test": test}


def upright(rows: Rows) -> Rows:
    """Return EMNIST rows with each image [1, H, W] transposed."""
    return Rows(rows.images.transpose(2, 3).contiguous(), rows.labels)
