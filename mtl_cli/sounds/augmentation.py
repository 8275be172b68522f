"""Random changes of sounds in training: speed, loudness, noise, and stripes of time and frequency that are hidden."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from mtl_cli.batch import Sample
from mtl_cli.config.options import Options, option
from mtl_cli.sounds.features import Frames
from mtl_cli.sounds.reading import Array
from mtl_cli.sounds.resampling import resampled

SPEEDS = 40
"""Steps of speed between 1 and 2: a change of speed is one of rate, and rates whose ratio is simple are quick."""


@dataclass(frozen=True, kw_only=True)
class ChangeOptions(Options):
    """How training clips are changed as they are drawn."""

    speed: Sequence[float] | None = option(None, example=(0.9, 1.1))
    """Slowest and fastest speed; the pitch changes with it, as on a tape. None: as it is."""
    gain: float = option(0.0, low=0.0, below=61.0)
    """Largest change of loudness in decibels, to either side."""
    noise: Sequence[float] | None = option(None, example=(10.0, 40.0))
    """Lowest and highest loudness of the clip above white noise, in decibels. None: no noise."""
    time_masks: int = option(0, low=0, below=101)
    """Stripes of time that are hidden."""
    time_mask: float = option(0.1, above=0.0, below=1.01)
    """Width of the widest stripe of time, as a share of the clip."""
    frequency_masks: int = option(0, low=0, below=101)
    """Stripes of frequency that are hidden."""
    frequency_mask: float = option(0.2, above=0.0, below=1.01)
    """Width of the widest stripe of frequency, as a share of the features."""

    def problems(self) -> list[str]:
        """Return what is wrong with the options, each and together."""
        found = super().problems()
        if (speed := self.speed) is not None and (len(speed) != 2 or not 0.5 <= speed[0] <= speed[1] <= 2):
            found.append(f"speed is {list(speed)}; it is [slowest, fastest] from 0.5 to 2. Use speed=[0.9,1.1].")
        if (noise := self.noise) is not None and (len(noise) != 2 or not -20 <= noise[0] <= noise[1] <= 120):
            found.append(f"noise is {list(noise)}; it is [lowest, highest] in decibels. Use noise=[10,40].")
        return found

    @property
    def any(self) -> bool:
        """Return whether anything changes."""
        changing = [each.name for each in fields(self) if each.name not in ("time_mask", "frequency_mask")]
        return any(getattr(self, name) for name in changing)

    @property
    def fastest(self) -> float:
        """The fastest speed."""
        return 1.0 if self.speed is None else self.speed[1]


class SoundAugmentation:
    """Changes a row as the options say, and makes its features; see `mtl_cli.datasets.base.Augmentation`.

    1. Speed: the clip is taken for one of another rate, and brought to its own (Ko, Peddinti, Povey, Khudanpur, "Audio
       augmentation for speech recognition", Interspeech 2015).
    2. Loudness, then noise.
    3. Features, and stripes of them set to 0, the mean of training (Park et al., "SpecAugment", Interspeech 2019).

    Args:
        options: what changes.
        frames: how sounds become features.
        encode: makes the inputs of a row from features [L, D].
    """

    def __init__(self, options: ChangeOptions, frames: Frames, encode: Callable[[Tensor], Sample]) -> None:
        self.options, self.frames, self.encode = options, frames, encode

    def __call__(self, row: Sample) -> Sample:
        """Return a row with features, from one with the clip float32 [N] as its inputs."""
        assert isinstance(row.inputs, Tensor)
        sound = self._changed(row.inputs.numpy())
        return replace(row, inputs=self.encode(self._masked(self.frames.of(sound))).inputs)

    def _changed(self, sound: Array) -> Array:
        options = self.options
        if options.speed is not None:
            low, high = (round(each * SPEEDS) for each in options.speed)
            steps = int(torch.randint(low, high + 1, ()))
            sound = resampled(sound, steps, SPEEDS)
        if options.gain:
            sound = sound * 10.0 ** (uniform(-options.gain, options.gain) / 20)
        if options.noise is not None:
            above = 10.0 ** (-uniform(*options.noise) / 20)
            level = math.sqrt(float((sound.astype("float64") ** 2).mean())) if len(sound) else 0.0
            sound = sound + torch.randn(len(sound)).numpy() * (above * level)
        return sound.astype("float32", copy=False)

    def _masked(self, features: Tensor) -> Tensor:
        options = self.options
        for _ in range(options.time_masks):
            features = hidden(features, options.time_mask, axis=0)
        for _ in range(options.frequency_masks):
            features = hidden(features, options.frequency_mask, axis=1)
        return features


def hidden(features: Tensor, share: float, axis: int) -> Tensor:
    """Return features [L, D] with one random stripe along an axis set to 0, at most `share` of it wide."""
    size = features.shape[axis]
    width = int(torch.randint(0, int(share * size) + 1, ()))
    start = int(torch.randint(0, size - width + 1, ()))
    stripe = torch.zeros(size, dtype=torch.bool)
    stripe[start : start + width] = True
    return features.masked_fill(stripe.unsqueeze(1 - axis), 0.0)


def uniform(low: float, high: float) -> float:
    """Return a random number between two."""
    return low + (high - low) * float(torch.rand(()))
