"""The pixels of a set of images that was checked: their mean and deviation, their memory, and all of them decoded."""

from collections.abc import Sequence

import numpy as np

from mtl_cli.batch import Sample
from mtl_cli.errors import UserError
from mtl_cli.images.checking import Checked
from mtl_cli.images.decoding import decode_image
from mtl_cli.images.picture_rows import Source, decoded_row
from mtl_cli.images.resizing import framed
from mtl_cli.images.scale import WHITE, require_scale

BYTES = {"mask": 8, "multimask": 4, "depth": 4, "normals": 12, "boxes": 0, "keypoints": 0}
"""Bytes per pixel of a decoded label."""


def decoded_bytes(checked: Checked, source: Source) -> int:
    """Return the bytes of all images of a file with their labels, decoded."""
    per_pixel = source.pixels.channels + sum(BYTES.get(each.kind, 4) for each in source.targets.values())
    areas = (np.prod(framed(size, source.pixels.size).content) for size in checked.sizes if size != (0, 0))
    return int(sum(areas)) * per_pixel


def measured(checked: Checked, rows: Sequence[int], channels: int) -> tuple[list[float], list[float]]:
    """Return mean and standard deviation of each channel over the pixels of some images, where white is 1.

    Raises:
        UserError: some cannot be used; they are named together.
    """
    count, total, squares = 0, np.zeros(channels), np.zeros(channels)
    problems = list[str]()
    for path in map(checked.path_of, rows):
        try:
            image = decode_image(path, channels)
            require_scale(image, checked.floats, str(path))
        except UserError as error:
            problems += error.problems
            continue
        pixels = image.reshape(channels, -1).astype(np.float64) / WHITE.get(image.dtype.name, 1.0)
        count += pixels.shape[1]
        total += pixels.sum(axis=1)
        squares += np.square(pixels).sum(axis=1)
    if problems:
        raise UserError(checked.first_of(problems))
    mean = total / count
    std = np.sqrt(np.maximum(squares / count - mean**2, 0))
    return mean.tolist(), [value if value > 1e-6 else 1.0 for value in std.tolist()]


def decode_all(source: Source, rows: np.ndarray, checked: Checked) -> dict[int, Sample]:
    """Return the decoded rows by number.

    Raises:
        UserError: some cannot be decoded; they are named together.
    """
    found, problems = {}, list[str]()
    for row in rows.tolist():
        try:
            found[row] = decoded_row(source, row)
        except UserError as error:
            problems += error.problems
    if problems:
        raise UserError(checked.first_of(problems))
    return found
