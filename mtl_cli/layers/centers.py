"""Objects as peaks of heat maps: drawing them for training, and finding them in predictions."""

import torch
from torch import Tensor
from torch.nn import functional as F

MIN_OVERLAP = 0.3
"""Boxes whose corners are off by at most the radius of a peak overlap the true one by at least so much.

As in CornerNet. With 0.7, peaks are so narrow that the score of an object depends on its size, since large ones have
less certain centres: the median over nuclei is 0.55 at 9 to 13 pixels and 0.41 above 35. With 0.3 it is 0.57 and
0.55, so that one threshold suits all of them."""


def peak_radius(width: Tensor, height: Tensor, overlap: float = MIN_OVERLAP) -> Tensor:
    """Return how far both corners of a box may be off, in any direction, for an intersection over union of `overlap`.

    Law, Deng, "CornerNet", section 3.2 of the version of 2019: the least of three cases, in which the other box is
    shifted, lies inside, or lies outside.
    """
    total, area = width + height, width * height
    shifted = (total - (total.square() - 4 * area * (1 - overlap) / (1 + overlap)).sqrt()) / 2
    inside = (total - (total.square() - 4 * area * (1 - overlap)).sqrt()) / 4
    outside = ((total.square() + 4 * area * (1 - overlap) / overlap).sqrt() - total) / 4
    return torch.minimum(torch.minimum(shifted, inside), outside)


def draw_peaks(columns: Tensor, rows: Tensor, sigmas: Tensor, maps: Tensor, size: tuple[int, int, int]) -> Tensor:
    """Return heat maps [B, C, H, W] of `size` (C, H, W) with a Gaussian at each of N positions, the largest winning.

    Args:
        columns: whole column of each peak [B, N], where its map is exactly 1.
        rows: whole row of each peak [B, N].
        sigmas: standard deviations [B, N].
        maps: the map of each peak [B, N]; −1 for one that is not there.
        size: number of maps, height and width.
    """
    count, height, width = size
    batch, number = columns.shape
    across = torch.arange(width, device=columns.device) - columns.unsqueeze(-1)  # [B, N, W]
    down = torch.arange(height, device=columns.device) - rows.unsqueeze(-1)
    spread = 2 * sigmas.square().unsqueeze(-1)
    across, down = (-across.square() / spread).exp(), (-down.square() / spread).exp()
    heat = torch.zeros(batch, count + 1, height, width, device=columns.device)  # the last map is dropped
    every = torch.arange(batch, device=columns.device)
    place = torch.where(maps >= 0, maps, count)
    for n in range(number):  # one by one: all at once take N maps of memory
        peak = down[:, n, :, None] * across[:, n, None, :]
        heat[every, place[:, n]] = torch.maximum(heat[every, place[:, n]], peak)
    return heat[:, :count]


def find_peaks(heat: Tensor, most: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return score, map, row and column, each [B, K], of the highest local maxima of heat maps [B, C, H, W] in [0, 1].

    A maximum is the largest of its 3 × 3 neighbourhood; others have score 0. K is `most`, or all positions.
    """
    _, _, height, width = heat.shape
    peaks = (heat * (F.max_pool2d(heat, 3, stride=1, padding=1) == heat)).flatten(1)
    if torch.compiler.is_exporting():  # a graph of any size does not know whether there are so many
        peaks, number = F.pad(peaks, (0, most)), most
    else:
        number = min(most, peaks.shape[1])
    scores, places = peaks.topk(number)
    places = places.clamp(max=heat.shape[1] * height * width - 1)
    within = places % (height * width)
    return scores, places // (height * width), within // width, within % width


def at_positions(maps: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Return the values of maps [B, C, H, W] at positions [B, N], as [B, N, C]."""
    place = rows * maps.shape[3] + columns
    return maps.flatten(2).gather(2, place.unsqueeze(1).expand(-1, maps.shape[1], -1)).transpose(1, 2)


def centre_focal_loss(logits: Tensor, heat: Tensor, alpha: float = 2.0, beta: float = 4.0) -> Tensor:
    """Return for each entry (1 − p)^α·(−log p) where `heat` is 1, else (1 − heat)^β·p^α·(−log(1 − p)).

    Zhou, Wang, Krähenbühl, "Objects as Points", 2019, equation 1; p is the sigmoid of the logits.
    """
    chance = logits.sigmoid()
    positive = -(1 - chance).pow(alpha) * F.logsigmoid(logits)
    negative = -(1 - heat).pow(beta) * chance.pow(alpha) * F.logsigmoid(-logits)
    return torch.where(heat == 1, positive, negative)
