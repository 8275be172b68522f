"""Features between stages, and their shapes."""

from dataclasses import dataclass, field, replace

from torch import Tensor

KINDS = {1: "vector", 2: "sequence", 3: "map"}


@dataclass(frozen=True)
class Features:
    """Hidden values: vectors [B, D], sequences [B, L, D] or maps [B, C, H, W].

    `mask` [B, L], True where a token is real, comes with sequences that are padded. `skips` are earlier values that a
    later stage or a head reads, such as the maps of an encoder, the earliest (finest) first. `pieces` int64 [B, L] are
    those of the text that the backbone read; the model adds them for heads that copy, stages never see them.
    """

    values: Tensor
    mask: Tensor | None = None
    skips: tuple[Tensor, ...] = ()
    pieces: Tensor | None = None

    @property
    def kind(self) -> str:
        """Kind of the features: "vector", "sequence" or "map"."""
        return KINDS[self.values.ndim - 1]

    def replace(self, values: Tensor) -> "Features":
        """Return features with other values [same length] and the same mask and skips."""
        return Features(values, self.mask, self.skips)


@dataclass(frozen=True)
class FeatureSpec:
    """Shape of features without the batch: (D,), (L, D) or (C, H, W); `masked` where they carry a mask.

    `skips` are the shapes of the skips, without the batch. `image` is the height and width of the images that maps were
    made of, where these reach the first stage in the size that they have.
    """

    shape: tuple[int, ...]
    masked: bool = False
    skips: tuple[tuple[int, ...], ...] = ()
    image: tuple[int, int] | None = field(default=None, compare=False)

    @property
    def kind(self) -> str:
        """Kind of the features: "vector", "sequence" or "map"."""
        return KINDS[len(self.shape)]

    @property
    def width(self) -> int:
        """D: the number of channels, which is the last dimension of vectors and sequences and the first of maps."""
        return self.shape[0] if len(self.shape) == 3 else self.shape[-1]

    def widened(self, width: int) -> "FeatureSpec":
        """Return the same spec with `width` channels."""
        shape = (width, *self.shape[1:]) if len(self.shape) == 3 else (*self.shape[:-1], width)
        return replace(self, shape=shape)

    @classmethod
    def of(cls, features: Features) -> "FeatureSpec":
        """Return the spec of `features`."""
        skips = tuple(tuple(skip.shape[1:]) for skip in features.skips)
        return cls(tuple(features.values.shape[1:]), features.mask is not None, skips)
