"""New images for a model that was trained on images of one size."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from mtl_cli.errors import UserError
from mtl_cli.images.decoding import given_image
from mtl_cli.tables.folder_files import files_below
from mtl_cli.tables.given import GIVEN

ENDINGS = (".png", ".jpg", ".jpeg", ".jfif", ".gif", ".bmp", ".webp", ".tif", ".tiff")
MODES = {1: "L", 3: "RGB"}
"""Pillow's name for images, by their number of channels of one byte."""


def image_files(path: Path) -> list[Path]:
    """Return an image file, or those in a folder and below it in the order of their names.

    Raises:
        UserError: there is no image.
    """
    files = [path] if path.is_file() else files_below(path, ENDINGS)
    if not files:
        raise UserError(f"{path} holds no images ({', '.join(ENDINGS)}). Give a folder of images: input=DIR.")
    return sorted(files)


def name_of(file: Path, root: Path) -> str:
    """Return what an image is called: its path below the folder, without the ending."""
    return file.stem if file == root else file.relative_to(root).with_suffix("").as_posix()


def read_image(path: Path, shape: tuple[int, int, int]) -> Tensor:
    """Return an image file as uint8 [C, H, W].

    Raises:
        UserError: it is damaged, or of another size.
    """
    channels, height, width = shape
    try:
        with Image.open(path) as image:
            size = image.size
            pixels = np.asarray(image.convert(MODES[channels])) if size == (width, height) else None
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError, ValueError) as error:
        raise UserError(f"{path} cannot be read as an image: {error}. Leave it out of the input.") from error
    if pixels is None:
        raise UserError(
            f"{path} is {size[0]}×{size[1]} pixels; the model was trained on images of {width}×{height}. Resize it."
        )
    return torch.from_numpy(pixels.copy()).reshape(height, width, channels).permute(2, 0, 1)


def read_pixels(path: Path, shape: tuple[int, int, int]) -> np.ndarray:
    """Return the images in a .npy file, uint8 [N, C, H, W].

    Raises:
        UserError: it is damaged, or of another type or shape.
    """
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path} cannot be read as an array: {error}. Write it by numpy.save.") from error
    pixels = found[:, None] if found.ndim == 3 else found
    if found.dtype != np.uint8 or pixels.shape[1:] != shape:
        raise UserError(
            f"{path} holds {found.dtype} {list(found.shape)}; the model takes uint8 [N, {', '.join(map(str, shape))}]."
        )
    return pixels


def checked_pixels(images: Any, shape: tuple[int, int, int]) -> np.ndarray:  # noqa: ANN401  an array, or images
    """Return images in memory, arrays or Pillow's, as uint8 [N, C, H, W].

    Raises:
        UserError: one is of another size or type.
    """
    channels, height, width = shape
    found = [given_image(image, channels, f"{GIVEN}, row {row}") for row, image in enumerate(images, start=1)]
    for row, image in enumerate(found, start=1):
        if image.dtype != np.uint8 or image.shape != shape:
            raise UserError(
                f"{GIVEN}, row {row}: an image {image.dtype} {list(image.shape)}; the model takes uint8, "
                f"{width}×{height} pixels of {channels} channels."
            )
    return np.stack(found)
