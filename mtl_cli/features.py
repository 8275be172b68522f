"""Features between stages: vectors, sequences and maps. All code that branches on the number of dimensions is here."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mtl_cli.batch import Inputs

KINDS = {1: "vector", 2: "sequence", 3: "map"}


@dataclass(frozen=True)
class Features:
    """Hidden values: vectors [B, D], sequences [B, L, D] or maps [B, C, H, W].

    `mask` [B, L], True where a token is real, comes with sequences that are padded.
    """

    values: Tensor
    mask: Tensor | None = None

    @property
    def kind(self) -> str:
        """Kind of the features: "vector", "sequence" or "map"."""
        return KINDS[self.values.ndim - 1]

    def replace(self, values: Tensor) -> "Features":
        """Return features with other values [same length] under the same mask."""
        return Features(values, self.mask)


@dataclass(frozen=True)
class FeatureSpec:
    """Shape of features without the batch: (D,), (L, D) or (C, H, W); `masked` where they carry a mask."""

    shape: tuple[int, ...]
    masked: bool = False

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
        return FeatureSpec(shape, self.masked)

    @classmethod
    def of(cls, features: Features) -> "FeatureSpec":
        """Return the spec of `features`."""
        return cls(tuple(features.values.shape[1:]), features.mask is not None)


def run_stage(stage: nn.Module, x: Inputs | Features) -> Features:
    """Run one stage of a backbone, carrying the mask past stages that do not ask for it.

    A stage that wants the mask says `takes_mask = True` and is called with `(values, mask)`; a stage may return
    `Features` to set a new mask. Stage 0, the stem, takes `Inputs`.

    Raises:
        ValueError: a masked stage changed the length of a sequence without a new mask.
    """
    if isinstance(x, Inputs):
        out = stage(x)
        return out if isinstance(out, Features) else Features(out)
    out = stage(x.values, x.mask) if getattr(stage, "takes_mask", False) else stage(x.values)
    if isinstance(out, Features):
        return out
    if x.mask is None or out.ndim != 3:
        return Features(out)
    if out.shape[1] != x.mask.shape[1]:
        raise ValueError(
            f"Stage {type(stage).__name__} changed the sequence length from {x.mask.shape[1]} to {out.shape[1]} "
            "without a new mask. Let it return Features(values, mask)."
        )
    return Features(out, x.mask)


def run_stages(stages: nn.Module | Sequence[nn.Module], x: Inputs | Features) -> Features:
    """Run several stages in order; an empty sequence returns features as they are."""
    for stage in stages.children() if isinstance(stages, nn.Module) else stages:
        x = run_stage(stage, x)
    assert isinstance(x, Features), "the first stage of a backbone is its stem"
    return x


def pool(features: Features) -> Tensor:
    """Return one vector [B, D] a sample: the mean over the tokens that are real, or over positions of a map."""
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
    """Return tokens [B, L, D] in the kind, shape and mask of `like`; the inverse of `tokens`."""
    if like.values.ndim == 2:
        return Features(values.squeeze(1))
    if like.values.ndim == 4:
        height, width = like.values.shape[2:]
        return Features(values.transpose(1, 2).unflatten(2, (height, width)))
    return Features(values, like.mask)


def resize(features: Features, spec: FeatureSpec) -> Features:
    """Return features with the positions of `spec`: maps are pooled to its height and width, the rest is unchanged."""
    if features.values.ndim == 4 and features.values.shape[2:] != spec.shape[1:]:
        height, width = spec.shape[1:]
        return Features(F.adaptive_avg_pool2d(features.values, (height, width)))
    return features


def align(features: Features, like: Features) -> Features:
    """Return features with the kind, positions and mask of `like` and their own channels.

    Maps are pooled to the height and width; where positions cannot be matched (another kind, or a sequence of another
    length) every position gets the pooled vector.
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

    Written out, since an einsum gives up the columns' memory layout, under which a convolution rounds otherwise.
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
    """Return a layer D to `out` that sees a neighbourhood: 3×3 convolution for maps, else linear at each position."""
    return nn.Conv2d(spec.width, out, kernel_size=3, padding=1) if spec.kind == "map" else nn.Linear(spec.width, out)


def pointwise(spec: FeatureSpec, out: int) -> nn.Module:
    """Return a linear map over channels at each position: D to `out`, for values of the kind of `spec`."""
    return nn.Conv2d(spec.width, out, kernel_size=1) if spec.kind == "map" else nn.Linear(spec.width, out)


def gate_scale(gate: Tensor, values: Tensor) -> Tensor:
    """Return `values` [B, ...] scaled per sample by `gate` [B]."""
    return gate.reshape(-1, *[1] * (values.ndim - 1)) * values


def mixture(gates: Tensor, experts: Tensor) -> Tensor:
    """Return Σₑ gates[:, e]·experts[:, e]: gates [B, E], experts [B, E, ...] of any kind."""
    return torch.einsum("be,be...->b...", gates, experts)


def alias(tensor: Tensor) -> Tensor:
    """Return a view that stands for the tensor in a graph, so that gradients can be taken at this very use of it."""
    return tensor.view_as(tensor)
