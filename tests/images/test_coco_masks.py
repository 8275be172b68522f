"""Boxes around masks of COCO, against the masks themselves and the reference encoder."""

import numpy as np
import pytest

from mtl_cli.errors import UserError
from mtl_cli.images.coco_masks import box_of_mask, unpacked

MASKS = np.random.RandomState(0).rand(40, 7, 9) < np.linspace(0.02, 0.9, 40)[:, None, None]


def runs_of(mask):
    """Runs by turns outside and inside, down one column after the other, from their definition."""
    flat, counts, inside = mask.T.ravel(), [0], False
    for value in flat.tolist():
        if value != inside:
            counts.append(0)
            inside = value
        counts[-1] += 1
    return {"size": list(mask.shape), "counts": counts}


def test_a_box_of_runs_is_that_of_the_pixels():
    for mask in MASKS[MASKS.any(axis=(1, 2))]:
        down, across = np.nonzero(mask)
        expected = (across.min(), down.min(), np.ptp(across) + 1, np.ptp(down) + 1)
        assert box_of_mask(runs_of(mask), "here") == expected


def test_compressed_runs_are_those_of_the_reference():
    reference = pytest.importorskip("pycocotools.mask", reason="pycocotools is not installed")
    large = np.zeros((400, 300), bool)
    large[10:350:3, 20:280] = True
    for mask in [*MASKS, large]:
        packed = reference.encode(np.asfortranarray(mask.astype(np.uint8)))
        text = packed["counts"]
        text = text.decode() if isinstance(text, bytes) else text
        assert unpacked(text, "here") == runs_of(mask)["counts"]


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        (None, "neither a bbox nor a segmentation"),
        ([], "neither a bbox nor a segmentation"),
        ({"size": [3, 4], "counts": [12]}, "holds no pixel"),
        ({"size": [3, 4], "counts": [5, 3]}, "do not make 4×3 pixels"),
        ({"size": [3, 4], "counts": [5, -3, 10]}, "do not make 4×3 pixels"),
        ({"size": [3, 4], "counts": "52\x10"}, "not a compressed segmentation"),
        ({"size": [3, 4], "counts": "52o"}, "is cut off"),
    ],
)
def test_what_is_no_mask_is_said(mask, said):
    with pytest.raises(UserError, match=f"annotation 3: .*{said}"):
        box_of_mask(mask, "annotation 3")
