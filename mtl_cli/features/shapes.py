"""Features of one kind or size as those of another."""

from torch import Tensor
from torch.nn import functional as F

from mtl_cli.features.features import Features


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
