"""Features between stages, and the stages. All code that branches on the number of dimensions is here."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mtl_cli.batch import Inputs

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


class Stage(nn.Module):
    """A stage of a backbone that reads or leaves more than values; any other module is a stage by these defaults.

    A stage is called with `(values)`, `(values, mask)`, `(values, skips)` or `(values, mask, skips)`, as it declares.
    It returns the new values as a tensor, or `Features`, whose mask replaces the old one.
    """

    takes_mask: bool = False
    """Whether the stage is called with the mask."""
    takes_skips: bool = False
    """Whether the stage is called with the skips. If it returns a tensor, the last skip is used up; if it returns
    `Features`, these set all skips."""
    keeps_input: bool = False
    """Whether the values that the stage is handed become a skip of later stages; it must not change them in place.

    These are the values that the sharing mode hands to the stage, after stitching or mixing. `BackboneFactory` sets
    this to False on a stage whose skip nothing would read."""


class Stages(nn.Sequential):
    """Successive stages of one copy of a backbone, numbered from `first`; number 0 is the stem.

    Freezing and compiling find stages here, so a sharing mode keeps them in the `Stages` that it got.
    """

    def __init__(self, *stages: nn.Module, first: int = 0) -> None:
        super().__init__(*stages)
        self.first = first

    def __getitem__(self, index: int | slice) -> nn.Module:
        if isinstance(index, int):
            return super().__getitem__(index)
        start, _, step = index.indices(len(self))
        assert step == 1, "stages keep their order"
        return Stages(*list(self)[index], first=self.first + start)

    def forward(self, x: Inputs | Features) -> Features:
        """Return the features after the last stage."""
        return run_stages(self, x)

    def numbered(self) -> Iterator[tuple[int, nn.Module]]:
        """Yield each stage with its number."""
        return enumerate(self, start=self.first)


class NewPart(nn.Module):
    """A part that a pretrained backbone did not come with: it is trained where its stage is frozen (`freeze=`)."""


PLAIN = Stage()
"""Gives the declarations of modules that declare nothing."""


def run_stage(stage: nn.Module, x: Inputs | Features) -> Features:
    """Run one stage of a backbone; mask and skips are carried past stages that do not ask for them (see `Stage`).

    Stage 0, the stem, takes `Inputs`. Where a stage that takes no skips returns `Features` with skips, these are added
    to the ones before it.

    Raises:
        ValueError: a masked stage changed the length of a sequence without a new mask.
    """
    if isinstance(x, Inputs):
        out = stage(x)
        return out if isinstance(out, Features) else Features(out)
    says = stage if isinstance(stage, Stage) else PLAIN
    given: list[object] = [x.values]
    if says.takes_mask:
        given.append(x.mask)
    if says.takes_skips:
        given.append(x.skips)
    out, skips = stage(*given), x.skips
    if isinstance(out, Features):
        values, mask = out.values, out.mask
        skips = out.skips if says.takes_skips else (*skips, *out.skips)
    else:
        values, mask = out, carried_mask(stage, out, x.mask)
        skips = skips[:-1] if says.takes_skips else skips
    return Features(values, mask, (*skips, x.values) if says.keeps_input else skips)


def carried_mask(stage: nn.Module, values: Tensor, mask: Tensor | None) -> Tensor | None:
    """Return the mask for values that a stage gave without one: the mask before it; None where they are not sequences.

    Raises:
        ValueError: the sequence has another length than the mask.
    """
    if mask is None or values.ndim != 3:
        return None
    if values.shape[1] != mask.shape[1]:
        raise ValueError(
            f"Stage {type(stage).__name__} changed the sequence length from {mask.shape[1]} to {values.shape[1]} "
            "without a new mask. Let it return Features(values, mask)."
        )
    return mask


def run_stages(stages: nn.Module | Iterable[nn.Module], x: Inputs | Features) -> Features:
    """Run several stages in order, such as `Stages`; an empty sequence returns features as they are."""
    for stage in cast("Iterable[nn.Module]", stages):  # `children` of a module takes 5 µs more
        x = run_stage(stage, x)
    assert isinstance(x, Features), "the first stage of a backbone is its stem"
    return x


def pool(features: Features) -> Tensor:
    """Return one vector per sample [B, D]: the mean over the real tokens, or over the positions of a map."""
    values = features.values
    if values.ndim == 2:
        return values
    if values.ndim == 4:
        return values.mean(dim=(2, 3))
    if features.mask is None:
        return values.mean(dim=1)
    weight = features.mask.to(values.dtype).unsqueeze(-1)  # [B, L, 1]
    return (values * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1.0)


def tokens(features: Features) -> Tensor:
    """Return the values as tokens [B, L, D]: a vector is one token, a map H·W of them."""
    values = features.values
    if values.ndim == 2:
        return values.unsqueeze(1)
    if values.ndim == 4:
        return values.flatten(2).transpose(1, 2)
    return values


def untokens(values: Tensor, like: Features) -> Features:
    """Return tokens [B, L, D] in the kind, shape, mask and skips of `like`; the inverse of `tokens`."""
    if like.values.ndim == 2:
        return like.replace(values.squeeze(1))
    if like.values.ndim == 4:
        height, width = like.values.shape[2:]
        return like.replace(values.transpose(1, 2).unflatten(2, (height, width)))
    return like.replace(values)


def coarser(features: Features, grid: int | None) -> Features:
    """Return maps averaged down to at most `grid` × `grid` positions; other features are returned as they are."""
    if grid is None or features.values.ndim != 4 or max(features.values.shape[2:]) <= grid:
        return features
    height, width = (min(size, grid) for size in features.values.shape[2:])
    return features.replace(F.adaptive_avg_pool2d(features.values, (height, width)))


def add_coarse(features: Features, coarse: Tensor) -> Features:
    """Return features with the values [B, ...] added; those of a `coarser` map are first enlarged bilinearly."""
    values = features.values
    if values.ndim == 4 and coarse.shape != values.shape:
        coarse = F.interpolate(coarse, values.shape[2:], mode="bilinear", align_corners=False)
    return features.replace(values + coarse)


def align(features: Features, like: Features) -> Features:
    """Return features, without skips, with the kind, positions and mask of `like` and their own channels.

    Maps are pooled to the height and width of `like`. Where positions cannot be matched (another kind, or a sequence of
    another length), every position gets the pooled vector.
    """
    values, target = features.values, like.values
    if values.ndim == target.ndim == 4:
        height, width = target.shape[2:]
        same = values.shape[2:] == target.shape[2:]
        return Features(values if same else F.adaptive_avg_pool2d(values, (height, width)))
    if values.ndim == target.ndim and (values.ndim == 2 or values.shape[1] == target.shape[1]):
        return Features(values, like.mask)
    vector = pool(features)  # [B, D]
    if target.ndim == 2:
        return Features(vector)
    if target.ndim == 4:
        return Features(vector[:, :, None, None].expand(-1, -1, *target.shape[2:]))
    return Features(vector.unsqueeze(1).expand(-1, target.shape[1], -1), like.mask)


def join(parts: Sequence[Tensor]) -> Tensor:
    """Return the values, all of one kind and the same positions, side by side along the channels."""
    return torch.cat(list(parts), dim=1 if parts[0].ndim == 4 else -1)


def stitch(weights: Tensor, columns: Sequence[Tensor]) -> list[Tensor]:
    """Return Σₛ weights[t, s]·columns[s] for each t: weights [T, S] or, by channel, [T, S, D]; columns [B, ...].

    The sum is written out, because an einsum loses the memory layout of the columns, and a convolution rounds
    differently under another layout.
    """
    if weights.ndim == 3 and columns[0].ndim == 4:
        weights = weights[..., None, None]  # [T, S, D, 1, 1]
    return [sum_products(row, columns) for row in weights.unbind()]


def sum_products(weights: Tensor, columns: Sequence[Tensor]) -> Tensor:
    """Return Σₛ weights[s]·columns[s]."""
    total = weights[0] * columns[0]
    for weight, column in zip(weights[1:].unbind(), columns[1:], strict=True):
        total = total + weight * column
    return total


def local(spec: FeatureSpec, out: int) -> nn.Module:
    """Return a layer D to `out` that sees a neighbourhood: a 3×3 convolution for maps, else linear per position."""
    return nn.Conv2d(spec.width, out, kernel_size=3, padding=1) if spec.kind == "map" else nn.Linear(spec.width, out)


def pointwise(spec: FeatureSpec, out: int) -> nn.Module:
    """Return a linear map over channels at each position: D to `out`, for values of the kind of `spec`."""
    return nn.Conv2d(spec.width, out, kernel_size=1) if spec.kind == "map" else nn.Linear(spec.width, out)


def mixture(gates: Tensor, experts: Tensor) -> Tensor:
    """Return Σₑ gates[:, e]·experts[:, e]: gates [B, E], experts [B, E, ...] of any kind."""
    return torch.einsum("be,be...->b...", gates, experts)


class Boundary:
    """Where shared computation hands over to the tasks: one alias per tensor, however often it is handed over.

    Unless the boundary was `asked` for, tensors stay as they are and `tensors` is empty.
    """

    def __init__(self, asked: bool) -> None:
        self._asked = asked
        self._made: dict[int, tuple[Tensor, Tensor]] = {}  # with the tensor itself, so that its id stays its own

    def hand_over(self, tensor: Tensor) -> Tensor:
        """Return the alias of a tensor, for the tasks to read in its place."""
        if not self._asked:
            return tensor
        if id(tensor) not in self._made:
            self._made[id(tensor)] = (tensor, alias(tensor))
        return self._made[id(tensor)][1]

    def hand_over_features(self, features: Features) -> Features:
        """Return the features with values and skips as aliases."""
        if not self._asked:
            return features
        values = self.hand_over(features.values)
        return Features(values, features.mask, tuple(map(self.hand_over, features.skips)))

    @property
    def tensors(self) -> list[Tensor]:
        """The aliases, in the order in which they were made."""
        return [made for _, made in self._made.values()]


def alias(tensor: Tensor) -> Tensor:
    """Return a view that stands for the tensor in a graph, so that gradients can be taken at this very use of it."""
    return tensor.view_as(tensor)
