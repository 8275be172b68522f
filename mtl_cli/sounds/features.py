"""What a network sees of a sound: log-mel energies or MFCC, one vector per frame."""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mtl_cli.config.options import Options, option
from mtl_cli.sounds.reading import HIGHEST_RATE, LOWEST_RATE, Array

KINDS = ("log_mel", "mfcc")
LOWEST_HERTZ = 20.0
"""Lower end of the lowest mel filter."""
FLOOR = 1e-6
"""Energy that is added before the logarithm: about that of the rounding of samples of 16 bits."""
LEAST_STD = 1e-3
NORMALIZE = ("set", "clip")
MOST_MELS = 512


@dataclass(frozen=True, kw_only=True)
class FeatureOptions(Options):
    """What a network sees of a sound."""

    features: str = option("log_mel", choices=KINDS)
    """log_mel: logarithms of the energies under mel filters; mfcc: their cosine transform."""
    rate: int | None = option(None, low=LOWEST_RATE, below=HIGHEST_RATE + 1, example=16000)
    """Samples per second that all sounds are brought to; None: the rate of most of them, at most 16000."""
    window_ms: float = option(25.0, low=1.0, below=1000.0)
    """Milliseconds that a frame looks at."""
    hop_ms: float = option(10.0, low=1.0, below=1000.0)
    """Milliseconds from one frame to the next."""
    num_mels: int = option(64, low=1, below=MOST_MELS + 1)
    """Mel filters."""
    num_ceps: int = option(20, low=1, below=MOST_MELS + 1)
    """Coefficients of mfcc."""
    normalize: str = option("set", choices=NORMALIZE)
    """Whose mean and deviation of each feature become 0 and 1: those of the training clips, or of each clip itself."""

    def problems(self) -> list[str]:
        """Return what is wrong with the options, each and together."""
        found = super().problems()
        if not found and self.features == "mfcc" and self.num_ceps > self.num_mels:
            found.append(f"num_ceps is {self.num_ceps}, more than num_mels={self.num_mels}. Use num_ceps=20.")
        return found

    def at(self, rate: int) -> "Frames":
        """Return the frames of sounds of a rate, not normalised yet."""
        window, hop = (max(1, round(ms * rate / 1000)) for ms in (self.window_ms, self.hop_ms))
        num_ceps = self.num_ceps if self.features == "mfcc" else 0
        return Frames(rate, window, hop, self.num_mels, num_ceps, self.normalize)


@dataclass(frozen=True)
class Frames:
    """How sounds become features: samples per second, of a window and of a hop, mel filters, coefficients (0: none).

    `mean` and `std` [D] are those of the training clips; with normalize=clip, or before they are known, there are none.
    """

    rate: int
    window: int
    hop: int
    num_mels: int
    num_ceps: int
    normalize: str
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        sizes = 1 <= self.window <= HIGHEST_RATE and 1 <= self.hop <= HIGHEST_RATE and 1 <= self.num_mels <= MOST_MELS
        kinds = 0 <= self.num_ceps <= self.num_mels and self.normalize in NORMALIZE
        known = len(self.mean) == len(self.std) and len(self.mean) in (0, self.width)
        if not (LOWEST_RATE <= self.rate <= HIGHEST_RATE and sizes and kinds and known):
            raise ValueError(f"{str(self)[:120]} are not frames of sounds")

    @property
    def width(self) -> int:
        """D, the number of features of a frame."""
        return self.num_ceps or self.num_mels

    def count(self, samples: int) -> int:
        """Return the number of frames of a sound of so many samples: the last one may look at silence behind it."""
        return 1 + max(0, -(-(samples - self.window) // self.hop))

    def of(self, sound: Array) -> Tensor:
        """Return the features of a sound float32 [N] of the right rate, float32 [L, D], normalised."""
        return self.normalised(self.plain(sound))

    def plain(self, sound: Array) -> Tensor:
        """Return the features float32 [L, D] as they are computed."""
        frames = self.count(len(sound))
        missing = (frames - 1) * self.hop + self.window - len(sound)
        windows = F.pad(torch.from_numpy(sound), (0, max(0, missing))).unfold(0, self.window, self.hop)  # [L, window]
        size = transform_size(self.window)
        spectrum = torch.fft.rfft(windows * hann(self.window), n=size)
        power = spectrum.real.square() + spectrum.imag.square()  # [L, size / 2 + 1]
        found = (power @ mel_filters(self.num_mels, size, self.rate) + FLOOR).log()
        return found @ cosine_transform(self.num_mels, self.num_ceps) if self.num_ceps else found

    def normalised(self, features: Tensor) -> Tensor:
        """Return features [L, D] on the scale of inputs."""
        if self.normalize == "clip":
            mean, std = features.mean(dim=0), features.std(dim=0, correction=0)
        elif self.mean:
            mean, std = torch.tensor(self.mean), torch.tensor(self.std)
        else:
            return features
        return (features - mean) / std.clamp(min=LEAST_STD)

    def fitted(self, sounds: Sequence[Array]) -> "Frames":
        """Return the same with the mean and deviation of the features of some sounds."""
        count, total, squares = 0, torch.zeros(self.width).double(), torch.zeros(self.width).double()
        for sound in sounds:
            found = self.plain(sound).double()
            count += len(found)
            total += found.sum(dim=0)
            squares += found.square().sum(dim=0)
        mean = total / count
        std = (squares / count - mean.square()).clamp(min=0).sqrt().clamp(min=LEAST_STD)
        return replace(self, mean=tuple(mean.tolist()), std=tuple(std.tolist()))


def transform_size(window: int) -> int:
    """Return the smallest power of two that holds a window."""
    return 1 << max(1, math.ceil(math.log2(window)))


@functools.lru_cache(maxsize=8)
def hann(window: int) -> Tensor:
    """Return a Hann window [window]."""
    return torch.hann_window(window)


def mel(hertz: float) -> float:
    """Return a frequency in mel, m = 2595·log₁₀(1 + f/700): O'Shaughnessy, "Speech communication", 1987."""
    return 2595.0 * math.log10(1.0 + hertz / 700.0)


def hertz(mels: Array) -> Array:
    """Return mels in hertz."""
    return 700.0 * (10.0 ** (mels / 2595.0) - 1.0)


@functools.lru_cache(maxsize=8)
def mel_filters(filters: int, size: int, rate: int) -> Tensor:
    """Return triangles [size / 2 + 1, filters] over the frequencies of a transform of `size` samples.

    Their tops, of height 1, are equally far apart in mel; each begins and ends at the tops of its neighbours. A filter
    that is narrower than the distance of two frequencies takes the nearest one.
    """
    edges = hertz(np.linspace(mel(LOWEST_HERTZ), mel(rate / 2), filters + 2))
    bins = np.arange(size // 2 + 1) * rate / size
    low, top, high = edges[:-2], edges[1:-1], edges[2:]
    rising = (bins[:, None] - low) / (top - low)
    falling = (high - bins[:, None]) / (high - top)
    found = np.maximum(0.0, np.minimum(rising, falling))
    for number in np.flatnonzero(found.sum(axis=0) == 0):
        found[np.abs(bins - top[number]).argmin(), number] = 1.0
    return torch.from_numpy(found.astype(np.float32))


@functools.lru_cache(maxsize=8)
def cosine_transform(values: int, kept: int) -> Tensor:
    """Return the orthonormal cosine transform of the second kind, [values, kept]."""
    places = (np.arange(values) + 0.5)[:, None] * np.arange(kept)
    found = np.cos(np.pi * places / values) * math.sqrt(2.0 / values)
    found[:, 0] /= math.sqrt(2.0)
    return torch.from_numpy(found.astype(np.float32))
