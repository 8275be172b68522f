"""What a sheet of samples shows of one row for one task."""

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
MISSING_COLOUR = (0.85, 0.85, 0.85)
COLOURS = ("#2a78d6", "#e8710a", "#1b998b", "#c2255c", "#7048e8", "#a07d00", "#495057", "#0b7285")
LOW, HIGH = 1.0, 99.0
"""Percentiles of numbers between which colours are spread."""
RAMP = ((0.27, 0.0, 0.33), (0.23, 0.32, 0.55), (0.13, 0.57, 0.55), (0.37, 0.79, 0.38), (0.99, 0.91, 0.14))
"""Colours of numbers from the lowest to the highest."""


@dataclass(frozen=True)
class Shown:
    """What is shown of one row for one task: pixels [H, W, 3] from 0 to 1, boxes [N, 5] or points [N, 3] on the image,
    or a text.

    A box is x₁, y₁, x₂, y₂ in pixels and the number of its class, a point x, y and its own number.
    """

    text: str = ""
    pixels: Array | None = None
    boxes: Array | None = None
    points: Array | None = None


def rgb(colour: str) -> tuple[float, float, float]:
    """Return a colour such as #2a78d6 as three numbers from 0 to 1."""
    red, green, blue = (int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5))
    return red, green, blue


def class_colours(classes: Array, num_classes: int) -> Array:
    """Return classes [H, W] as colours [H, W, 3]; the first class is black, and a negative number light grey."""
    palette = np.array([(0.0, 0.0, 0.0), *(rgb(COLOURS[k % len(COLOURS)]) for k in range(max(1, num_classes - 1)))])
    found = palette[np.clip(classes, 0, len(palette) - 1)]
    found[classes < 0] = MISSING_COLOUR
    return found


def number_colours(values: Array, limits: tuple[float, float]) -> Array:
    """Return numbers [H, W] between two limits as colours [H, W, 3]; NaN is light grey."""
    low, high = limits
    scaled = np.clip((np.nan_to_num(values) - low) / max(high - low, 1e-12), 0, 1)
    places = np.linspace(0, 1, len(RAMP))
    found = np.stack([np.interp(scaled, places, channel) for channel in np.array(RAMP).T], axis=-1)
    found[~np.isfinite(values)] = MISSING_COLOUR
    return found


def direction_colours(normals: Array) -> Array:
    """Return unit vectors [3, H, W] as colours [H, W, 3]: −1 … 1 of each component as 0 … 1."""
    found = (np.nan_to_num(normals).transpose(1, 2, 0) + 1) / 2
    found[np.isnan(normals).any(axis=0)] = MISSING_COLOUR
    return np.clip(found, 0, 1)


def spread(values: Array) -> tuple[float, float]:
    """Return limits for `number_colours` that hold nearly all numbers of an array."""
    known = values[np.isfinite(values)]
    if not known.size:
        return 0.0, 1.0
    low, high = np.percentile(known, [LOW, HIGH])
    return float(low), float(high)
