"""The form in which clips reach a network: sequences of any length, or maps of one length."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mtl_cli.batch import InputSpec, Sample, pad_maps
from mtl_cli.config.options import Options, option
from mtl_cli.errors import UserError
from mtl_cli.sounds.checking import Clips
from mtl_cli.sounds.features import Frames

SEQUENCE, MAP = "sequence", "map"
FORMS = (SEQUENCE, MAP)
MULTIPLE, LONGEST = 64, 1 << 14
"""What the number of frames of an example is a multiple of, so that backbones that join frames leave none over; and
the largest number."""


@dataclass(frozen=True, kw_only=True)
class FormOptions(Options):
    """In which form clips reach the network."""

    form: str = option(SEQUENCE, choices=FORMS)
    """sequence: frames of any number, for backbones of sequences; map: an image of time and frequency of one size."""


@dataclass(frozen=True)
class Encoder:
    """Makes inputs of features: sequences of any length with a mask, or maps [1, D, L] of one length.

    Sequences are a mapping of `frames` float32 [B, L, D] and `mask` bool [B, L].
    """

    form: str
    length: int = 0
    """L of maps: shorter clips are filled up with the mean of training, longer ones are cut."""

    def row(self, features: Tensor) -> Sample:
        """Return the inputs of one row from its features [L, D]."""
        if self.form == SEQUENCE:
            return Sample({"frames": features, "mask": torch.ones(len(features), dtype=torch.bool)}, {})
        whole = features.new_zeros(1, features.shape[1], self.length)
        kept = features[: self.length]
        whole[0, :, : len(kept)] = kept.T
        return Sample(whole, {})

    def batch(self, rows: Sequence[Tensor]) -> dict[str, Tensor] | Tensor:
        """Return the inputs of rows from the features [L, D] of each."""
        found = [self.row(features).inputs for features in rows]
        if self.form == MAP:
            return torch.stack([each for each in found if isinstance(each, Tensor)])
        named = [each for each in found if not isinstance(each, Tensor)]
        return {
            "frames": pad_maps([each["frames"] for each in named], 0.0),
            "mask": pad_maps([each["mask"] for each in named], False),
        }

    def spec(self, width: int) -> InputSpec:
        """Return what a network is told of inputs of so many features."""
        return InputSpec("sound", (width,)) if self.form == SEQUENCE else InputSpec("image", (1, width, self.length))


def usual_length(lengths: np.ndarray) -> int:
    """Return the median number of frames [N], brought to a multiple."""
    return min(LONGEST, MULTIPLE * max(1, round(float(np.median(lengths)) / MULTIPLE)))


def map_length(lengths: np.ndarray, frames: Frames, limit: float | None) -> int:
    """Return the number of frames of maps: that of the longest clip [N], or of so many seconds.

    Raises:
        UserError: it is too large.
    """
    length = int(lengths.max()) if limit is None else frames.count(round(limit * frames.rate))
    if length > LONGEST:
        raise UserError(
            f"form=map makes an image of {length} frames of each clip, which may have {LONGEST}. Use "
            "form=sequence, or cut clips: tasks.NAME.dataset.max_seconds=30."
        )
    return length


def check_fits(clips: Clips, frames: Frames, length: int) -> None:
    """Refuse clips that are longer than maps of a length.

    Raises:
        UserError: there are some.
    """
    lengths = [frames.count(clips.samples(row, frames.rate)) for row in range(len(clips.names))]
    if long := [clips.names[row] for row, each in enumerate(lengths) if each > length]:
        seconds = ((length - 1) * frames.hop + frames.window) / frames.rate
        raise UserError(
            f"{clips.path}: {len(long)} clips are longer than the maps of {seconds:.2f} s that the longest "
            f"training clip gives, such as {long[0]}. Cut them: tasks.NAME.dataset.max_seconds={seconds:.2f}, or "
            "take them whole: tasks.NAME.dataset.form=sequence."
        )
