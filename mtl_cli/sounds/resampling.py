"""Sounds of one rate made into sounds of another."""

import functools
import math
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
ZEROS, BETA = 10, 5.0
"""Zero crossings of the filter to either side, and the shape of its Kaiser window."""
MOST_PHASES = 1 << 15
"""Filters of one sample each that a change of rate may have; two rates that need more are brought near each other."""
MOST_LOOPS = 1024
"""Phases up to which outputs of one phase are computed together."""
CHUNK = 1 << 16
"""Samples that are computed at a time."""


def resampled(sound: Array, rate: int, new_rate: int) -> Array:
    """Return a sound float32 [N] of `rate` as one of `new_rate`, float32 [⌈N·new_rate/rate⌉].

    It is what upsampling with zeros, a low-pass filter and downsampling give, computed only where a sample is kept
    (a polyphase filter). The filter is a sinc of the lower of both rates under a Kaiser window.
    """
    up, down = ratio(rate, new_rate)
    if up == down or not len(sound):
        return sound
    table, taps = filters(up, down)
    length = -(-len(sound) * up // down)
    padded = np.concatenate([np.zeros(taps, np.float32), sound, np.zeros(taps + 1, np.float32)])
    if up > MOST_LOOPS:
        return gathered(padded, table, length, up, down)
    out = np.empty(length, np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * taps + 1)
    for first in range(min(up, length)):  # outputs first, first + up, … have one phase and lie `down` samples apart
        own = out[first::up]
        own[:] = windows[first * down // up :: down][: len(own)] @ table[first * down % up]
    return out


def gathered(padded: Array, table: Array, length: int, up: int, down: int) -> Array:
    """Return what `resampled` returns where there are so many phases that few outputs have the same one."""
    out = np.empty(length, np.float32)
    reach = np.arange(table.shape[1])
    for start in range(0, length, CHUNK):
        at = np.arange(start, min(start + CHUNK, length), dtype=np.int64) * down
        windows = padded[(at // up)[:, None] + reach]  # [n, 2·taps + 1]
        out[start : start + len(at)] = np.einsum("nt,nt->n", windows, table[at % up])
    return out


def ratio(rate: int, new_rate: int) -> tuple[int, int]:
    """Return the smallest whole numbers whose ratio is that of the new rate to the old, or is near it."""
    common = math.gcd(rate, new_rate)
    up, down = new_rate // common, rate // common
    if max(up, down) > MOST_PHASES:
        scale = MOST_PHASES / max(up, down)
        up, down = max(1, round(up * scale)), max(1, round(down * scale))
    return up, down


@functools.lru_cache(maxsize=64)
def filters(up: int, down: int) -> tuple[Array, int]:
    """Return the filter of each of the `up` phases, float32 [up, 2·taps + 1], and `taps`.

    Entry [p, taps + k] weighs the sample k places after the last one at or before the output, which lies p/up of a
    sample behind that one.
    """
    slower = max(up, down)
    half = ZEROS * slower
    taps = half // up + 1
    places = np.arange(-taps, taps + 1)[None, :] * up - np.arange(up)[:, None]  # in units of 1/up of a sample
    window = np.where(np.abs(places) <= half, np.i0(BETA * np.sqrt(np.maximum(0.0, 1 - (places / half) ** 2))), 0.0)
    every = np.arange(-half, half + 1)
    gain = (np.sinc(every / slower) * np.i0(BETA * np.sqrt(np.maximum(0.0, 1 - (every / half) ** 2)))).sum()
    return (np.sinc(places / slower) * window * (up / gain)).astype(np.float32), taps
