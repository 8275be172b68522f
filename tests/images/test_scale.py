"""Images of a set are on one scale, or refused."""

import numpy as np
import pytest

from mtl_cli.errors import UserError
from mtl_cli.images.scale import require_scale

EIGHT = np.array([[[0, 255]]], np.uint8)
UNIT = np.array([[[0.0, 1.0]]], np.float32)


@pytest.mark.parametrize(
    ("image", "floats"),
    [(EIGHT, False), (EIGHT.astype(np.uint16), False), (UNIT, False), (UNIT * 900, True), (UNIT, None), (EIGHT, None)],
)
def test_one_scale_is_accepted(image, floats):
    require_scale(image, floats, "a.tif")


@pytest.mark.parametrize(
    ("image", "floats", "said"),
    [
        (EIGHT, True, "a.tif is of 8 bit and the training images hold floats"),
        (UNIT * 255, False, "from 0 to 255, and the training images have 8 or 16 bit"),
        (UNIT - 0.5, False, "from -0.5 to 0.5"),
        (UNIT * np.nan, True, "a.tif holds numbers that are NaN"),
        (np.array([[[0.0, np.inf]]]), None, "NaN or infinite"),
    ],
)
def test_two_scales_are_refused(image, floats, said):
    with pytest.raises(UserError, match=said):
        require_scale(image, floats, "a.tif")
