"""Files of images, label images and depth, decoded by Pillow or NumPy; a fault names the file.

Images come upright: a camera's EXIF orientation is applied. Palettes become colours in images and stay numbers in label
images. What is transparent shows white. CMYK becomes RGB. A stack of pages is refused; of an animation the first image
is read, which is told.
"""

import contextlib
import functools
import logging
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mtl_cli.errors import UserError
from mtl_cli.images.scale import WHITE

if TYPE_CHECKING:
    from PIL import Image

logger = logging.getLogger("mtl_cli")
Array = np.ndarray[Any, Any]
MAX_PIXELS = 100_000_000
"""Pixels of the largest image that is decoded; a small file that claims more is a decompression bomb."""
MAX_LAST, MIN_HEIGHT = 4, 16
"""An array [H, W, C] has at most so many channels, and at least so many rows; any other is [C, H, W]."""
GREY_MODES = ("1", "L", "I;16", "I;16B", "I;16L", "I", "F")
ROTATED = (5, 6, 7, 8)
"""EXIF orientations that swap height and width."""
ORIENTATION = 0x0112


@dataclass(frozen=True)
class Header:
    """What a file says of its image before it is decoded: height and width as it will stand, and grey or colour.

    `floats` says whether its numbers are floats, or whole numbers of an array of another type than 8 or 16 bit. `wide`
    says that they are whole numbers of 32 bit, which may be used where they have 16 bit all the same. `turned` says
    that a camera's rotation has swapped the sides.
    """

    height: int
    width: int
    channels: int
    floats: bool
    wide: bool = False
    turned: bool = False


def read_header(path: Path) -> Header:
    """Return the size and the natural number of channels of a file: 1 where it is grey, else 3; of .npy as it is.

    Raises:
        UserError: there is no such file, or it does not hold an image.
    """
    if path.suffix.lower() == ".npy":
        found = _array(path)
        floats, shape = str(found.dtype) not in WHITE, found.shape
        return Header(shape[-2], shape[-1], 1 if len(shape) == 2 else shape[0], floats)
    with _opened(path) as image:
        width, height = image.size
        turned = _orientation(image) in ROTATED
        width, height = (height, width) if turned else (width, height)
        channels = 1 if image.mode in GREY_MODES else 3
        return Header(height, width, channels, image.mode == "F", image.mode == "I", turned)


def decode_image(path: Path, channels: int) -> Array:
    """Return an image [C, H, W] as uint8, as uint16 where the file has 16 bits, or as float32 where it has floats.

    Grey is repeated for 3 channels; colours become grey for 1. Four channels are red, green, blue and opacity.

    Raises:
        UserError: the file is damaged, or has another number of channels.
    """
    if path.suffix.lower() == ".npy":
        found = np.array(_array(path), order="C")
        found = found[None] if found.ndim == 2 else found
        if len(found) != channels:
            raise UserError(f"{path} has {len(found)} channels; {channels} are needed. Set channels={len(found)}.")
        return found if str(found.dtype) in WHITE else found.astype(np.float32)
    from PIL import ImageOps

    with _opened(path) as image:
        if _orientation(image) not in (None, 1):
            image = ImageOps.exif_transpose(image)
        return _pixels(image, channels, str(path))


def given_image(image: Any, channels: int, name: str) -> Array:  # noqa: ANN401  an array or an image of Pillow
    """Return an image in memory [C, H, W] as `decode_image` does that of a file.

    It is one of Pillow's, or an array [H, W], [C, H, W] or [H, W, C]. `name` is what messages call it.

    Raises:
        UserError: it is none of these, or has another number of channels.
    """
    if hasattr(image, "getexif"):
        from PIL import ImageOps

        return _pixels(ImageOps.exif_transpose(image), channels, name)
    found = np.asarray(image)
    if found.ndim not in (2, 3) or not found.size or found.dtype.kind not in "iufb":
        raise UserError(
            f"{name} is {found.dtype} {list(found.shape)}; an image is numbers [H, W], [C, H, W] or [H, W, C]."
        )
    found = found[None] if found.ndim == 2 else found
    if len(found) != channels and found.shape[2] == channels:
        found = found.transpose(2, 0, 1)
    if len(found) != channels and 1 in (channels, len(found), found.shape[2]) and found.dtype == np.uint8:
        from PIL import Image

        grey = len(found) == 1
        return given_image(Image.fromarray(found[0] if grey else np.ascontiguousarray(found)), channels, name)
    if len(found) != channels:
        raise UserError(f"{name} is {list(np.shape(image))}, which has not the {channels} channels of training.")
    if found.dtype.kind == "f" and not np.isfinite(found).all():
        raise UserError(f"{name} has a pixel that is not finite. Replace such pixels by numbers.")
    return np.array(found if str(found.dtype) in WHITE else found.astype(np.float32), order="C")


def several_images(images: "Array | Sequence[Any]", channels: int, name: str) -> "Array | Sequence[Any]":
    """Return images in memory as they are, once they are known to be several.

    Raises:
        UserError: they are an array that may as well be one image of colours.
    """
    shape = np.shape(images) if isinstance(images, np.ndarray) else ()
    if len(shape) == 3 and channels > 1 and channels in (shape[0], shape[2]):
        raise UserError(
            f"{name} is one array {list(shape)}, which may be one image or {shape[0]} grey ones. Give one as "
            "predict([image]), and grey ones as predict(list(images))."
        )
    return images


def decode_labels(path: Path) -> Array:
    """Return a label image as numbers, int32 [H, W]; colours as red·65536 + green·256 + blue.

    Raises:
        UserError: the file is damaged.
    """
    if path.suffix.lower() == ".npy":
        found = _array(path)
        if found.ndim != 2 or not _whole(found):
            raise UserError(f"{path} holds {found.dtype} {list(found.shape)}; a label image is whole numbers [H, W].")
        return found.astype(np.int32)
    with _opened(path) as image:
        if image.mode in ("P", *GREY_MODES):
            found = np.asarray(image)
            if not _whole(found):
                raise UserError(f"{path} holds floats; a label image is whole numbers. Write it as PNG.")
            return found.astype(np.int32)
        if image.mode in ("LA", "PA"):
            return np.asarray(image)[..., 0].astype(np.int32)
        colours = np.asarray(image.convert("RGB")).astype(np.int32)
        return (colours[..., 0] << 16) + (colours[..., 1] << 8) + colours[..., 2]


def decode_numbers(path: Path) -> Array:
    """Return an array or grey image of numbers, such as a depth map, float32 [H, W] or [C, H, W], as they are stored.

    Raises:
        UserError: the file is damaged, or holds colours.
    """
    if path.suffix.lower() == ".npy":
        return np.array(_array(path), dtype=np.float32)
    with _opened(path) as image:
        if image.mode not in GREY_MODES:
            raise UserError(
                f"{path} holds colours ({image.mode}); one number per pixel is needed: a grey image or .npy."
            )
        return np.asarray(image).astype(np.float32)


def _pixels(image: "Image.Image", channels: int, name: str) -> Array:
    """Return an image [C, H, W] in the number of channels that is asked for, one channel after the other in memory."""
    from PIL import Image

    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        grey = np.asarray(image)
        if image.mode == "I" and (grey.min() < 0 or grey.max() > WHITE["uint16"]):
            raise UserError(
                f"{name} holds whole numbers of 32 bit, from {grey.min()} to {grey.max()}, of which nothing says what "
                "white is. Write it with 16 bit, or as floats from 0 to 1."
            )
        return np.repeat(grey.astype(np.float32 if image.mode == "F" else np.uint16)[None], channels, axis=0)
    if channels not in (1, 3, 4):
        raise UserError(f"{name}: an image file has 1, 3 or 4 channels, not {channels}. Use .npy [C, H, W] for more.")
    wanted = {1: "L", 3: "RGB", 4: "RGBA"}[channels]
    if channels != 4 and (image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info):
        upper = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", upper.size, "white"), upper)
    image = image if image.mode == wanted else image.convert(wanted)  # `convert` always copies
    planes = bytearray().join(image.tobytes("raw", band) for band in wanted)
    return np.frombuffer(planes, np.uint8).reshape(channels, image.height, image.width)


def _whole(values: Array) -> bool:
    """Return whether numbers are whole."""
    return values.dtype.kind in "iub" or (values.dtype.kind == "f" and bool((values == np.rint(values)).all()))


def _orientation(image: "Image.Image") -> int | None:
    value = image.getexif().get(ORIENTATION)
    return value if isinstance(value, int) else None


@contextlib.contextmanager
def _opened(path: Path) -> "Iterator[Image.Image]":
    """Open an image file; what goes wrong until the block's end becomes a sentence that names the file."""
    from PIL import Image

    check_regular(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own limit warns; ours refuses
            with Image.open(path) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise UserError(
                        f"{path} claims {image.width}×{image.height} pixels, more than {MAX_PIXELS:,}. Make it smaller."
                    )
                _check_frames(image, path)
                yield image
    except UserError:
        raise
    except Exception as error:  # Pillow's decoders raise anything on damaged files
        what = str(error).split(" <")[0].rstrip(".") or type(error).__name__
        raise UserError(f"{path} cannot be read as an image: {what}.") from error


def _check_frames(image: "Image.Image", path: Path) -> None:
    """Refuse a TIFF whose second page is as large as the first, and tell of animations.

    Smaller pages are previews, and the second image of a camera's JPEG is one too.
    """
    if image.format == "TIFF" and (pages := getattr(image, "n_frames", 1)) > 1:
        first = image.size
        image.seek(1)
        second = image.size
        image.seek(0)
        if second == first:
            raise UserError(
                f"{path} is a stack of {pages} pages, and an image is one. Write each page to a file, or the stack to "
                ".npy [C, H, W], whose first axis are channels."
            )
    elif image.format in ("GIF", "PNG") and getattr(image, "is_animated", False):
        _tell_of_animation(path.parent)


@functools.cache
def _tell_of_animation(folder: Path) -> None:
    """Say once of a folder that of its animations only the first image is read."""
    logger.warning("%s holds animations, of which the first image is read.", folder)


def _array(path: Path) -> Array:
    check_regular(path)
    try:
        found: Array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path} cannot be read as an array: {error}. Write it by numpy.save.") from error
    if found.ndim not in (2, 3) or not found.size:
        raise UserError(f"{path} holds an array {list(found.shape)}; [H, W], [C, H, W] or [H, W, C] is needed.")
    if found.ndim == 3 and found.shape[2] <= MAX_LAST and found.shape[0] >= MIN_HEIGHT:
        found = found.transpose(2, 0, 1)
    return found[0] if found.ndim == 3 and len(found) == 1 else found


def check_regular(path: Path) -> None:
    """Refuse what is not a file with something in it.

    Raises:
        UserError: there is no such file, or it is empty, a folder or a device.
    """
    if not path.is_file():
        raise UserError(f"{path} is not a file." if path.exists() else f"{path} does not exist.")
    if not path.stat().st_size:
        raise UserError(f"{path} is empty.")
