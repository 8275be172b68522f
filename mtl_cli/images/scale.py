"""The scale of pixels: in images of 8 and 16 bit white is known; floats are as they are."""

from typing import Any

import numpy as np

from mtl_cli.errors import UserError

Array = np.ndarray[Any, Any]
WHITE = {"uint8": 255.0, "uint16": 65535.0}
"""The number of white, by type; floats are as they are."""


def require_scale(image: Array, floats: bool | None, name: str) -> None:
    """Refuse pixels of another scale than those of training, and floats that are not finite.

    `floats` says whether all training images hold floats; None: not known. Where they do not, white is 1, and floats
    from 0 to 1 are on that scale too. `name` is what messages call the image.

    Raises:
        UserError: it is of another scale.
    """
    if str(image.dtype) in WHITE:
        if floats:
            raise UserError(
                f"{name} is of {8 * image.itemsize} bit and the training images hold floats, whose scale is another. "
                "Write all images in one way."
            )
        return
    if not np.isfinite(image).all():
        raise UserError(f"{name} holds numbers that are NaN or infinite. Fill them.")
    if floats is False and (image.min() < 0 or image.max() > 1):
        raise UserError(
            f"{name} holds floats or large whole numbers, from {image.min():g} to {image.max():g}, and the training "
            "images have 8 or 16 bit. Beside these, floats are from 0 to 1, where 1 is white. Write all images in one "
            "way."
        )
