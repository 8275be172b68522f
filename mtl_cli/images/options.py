"""Which images a set has, and what they become, as the YAML says it."""

import dataclasses
from collections.abc import Sequence

from mtl_cli.config.options import Options, option
from mtl_cli.images.listings import FORMS


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageOptions(Options):
    """Which images, and what they become."""

    layout: str = option("auto", choices=("auto", "table", *FORMS[1:]))
    """What path is: a table, class folders (classes), annotations (coco, voc, yolo), a table of boxes; auto looks."""
    image: str = "image"
    """Column of paths of images, relative to `folder`."""
    channels: int | None = option(None, low=1, example=3)
    """Channels of the input; None: 1 where all training images are grey, else 3."""
    size: Sequence[int] | None = option(None, example=(96, 96))
    """Height and width that images are brought into, their proportions kept; None: as they are."""
    mean: Sequence[float] | None = option(None, example=(0.485, 0.456, 0.406))
    """Mean of each channel, where white is 1; None: that of training images."""
    std: Sequence[float] | None = option(None, example=(0.229, 0.224, 0.225))
    """Standard deviation of each channel, where white is 1; None: that of training images."""
    skip_bad: bool = False
    """Whether rows whose files cannot be used, and boxes that cannot be, are left out and counted, or are an error."""

    def problems(self) -> list[str]:
        """Return what is wrong with the options, each and together."""
        found = super().problems()
        if self.size is not None and (len(self.size) != 2 or any(side < 1 for side in self.size)):
            found.append(f"size is {list(self.size)}; it is [height, width] in pixels. Use for example size=[96,96].")
        if (self.mean is None) != (self.std is None):
            found.append("mean and std are given together, or both are null.")
        return found
