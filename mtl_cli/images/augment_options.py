"""How training images are changed, as the YAML says it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

from mtl_cli.config.options import Options, option


@dataclass(frozen=True, kw_only=True)
class AugmentOptions(Options):
    """How training images are changed as they are drawn; the labels change with them."""

    crop: int | Sequence[int] | None = option(None, example=128)
    """A random window: side, or [height, width], in pixels; smaller images are filled up. None: the whole image."""
    flip: float = option(0.0, low=0.0, below=1.01)
    """Probability of a flip from left to right."""
    flip_vertical: float = option(0.0, low=0.0, below=1.01)
    """Probability of a flip upside down."""
    quarter_turns: bool = False
    """Whether images are turned by 0, 90, 180 or 270 degrees, equally often; for square windows."""
    zoom: Sequence[float] | None = option(None, example=(0.8, 1.25))
    """Smallest and largest factor of size, drawn on a log scale; None: no zoom."""
    rotate: float = option(0.0, low=0.0, below=180.01)
    """Largest angle in degrees, to either side."""
    shift: float = option(0.0, low=0.0, below=1.0)
    """Largest shift, as a share of height and width."""
    shear: float = option(0.0, low=0.0, below=90.0)
    """Largest angle of a shear in degrees; not with normals."""
    brightness: float = option(0.0, low=0.0, below=1.0)
    """Largest relative change of brightness."""
    contrast: float = option(0.0, low=0.0, below=1.0)
    """Largest relative change of contrast."""
    saturation: float = option(0.0, low=0.0, below=1.01)
    """Largest relative change of saturation."""
    hue: float = option(0.0, low=0.0, below=0.51)
    """Largest turn of the colours, as a share of the circle."""
    noise: float = option(0.0, low=0.0)
    """Standard deviation of Gaussian noise, where white is 1."""
    erase: float = option(0.0, low=0.0, below=1.01)
    """Probability that a rectangle is covered by the mean colour; labels stay."""
    rotation: bool = False
    """Adds the field `turn` (0, 90, 180 or 270 degrees): the image is turned so, for a task that says how far."""

    def problems(self) -> list[str]:
        """Return what is wrong with the options, each and together."""
        found = super().problems()
        window = self.window_given
        if window is not None and (len(window) != 2 or any(type(side) is not int or side < 1 for side in window)):
            found.append(f"crop is {self.crop}; it is a side or [height, width] in pixels. Use for example crop=128.")
        zoom = self.zoom
        if zoom is not None and (len(zoom) != 2 or not 0 < zoom[0] <= zoom[1] < math.inf):
            found.append(
                f"zoom is {list(zoom)}; it is [smallest, largest], both above 0. Use for example zoom=[0.8,1.25]."
            )
        if not found and (self.rotation or self.quarter_turns) and window is not None and window[0] != window[1]:
            found.append(f"crop is {self.crop}; quarter turns need square windows. Use for example crop={min(window)}.")
        return found

    @property
    def window_given(self) -> tuple[int, ...] | None:
        """The window (H, W) as it is given."""
        return (self.crop, self.crop) if isinstance(self.crop, int) else None if self.crop is None else tuple(self.crop)

    @property
    def window(self) -> tuple[int, int] | None:
        """The window (H, W), or None for the whole image."""
        given = self.window_given
        return None if given is None else (given[0], given[1])

    @property
    def any(self) -> bool:
        """Return whether anything changes."""
        return any(getattr(self, each.name) not in (0.0, None, False) for each in fields(self))

    @property
    def moves(self) -> bool:
        """Return whether there is a zoom, a rotation, a shift or a shear."""
        return bool(self.rotate or self.shift or self.shear or (self.zoom and tuple(self.zoom) != (1.0, 1.0)))
