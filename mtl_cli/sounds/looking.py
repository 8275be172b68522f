"""Clips that can be used and deserve a look: silent, clipped, of another rate, or very long."""

import logging
from collections import Counter
from collections.abc import Sequence

import numpy as np

from mtl_cli.sounds.checking import Clips, some_names
from mtl_cli.sounds.reading import Array

logger = logging.getLogger("mtl_cli")
LONG = 60.0
"""Seconds from which on a clip is called very long."""
CLIPPED, FULL = 0.01, 0.999
"""Share of samples at full scale from which on a clip is called clipped, and what full scale is."""


def look_at(clips: Clips, rows: Sequence[int], sounds: Sequence[Array]) -> None:
    """Tell of clips that can be used and deserve a look: silent or clipped ones."""
    silent = [clips.names[row] for row, sound in zip(rows, sounds, strict=True) if is_silent(sound)]
    loud = [clips.names[row] for row, sound in zip(rows, sounds, strict=True) if is_clipped(sound)]
    for what, names in (("silent", silent), ("clipped (at full scale for 1 % of the time or more)", loud)):
        if names:
            logger.warning("%s: %d of %d clips are %s: %s", clips.path, len(names), len(rows), what, some_names(names))


def tell_of_lengths(clips: Clips, rate: int) -> None:
    """Tell of clips of another rate, and of very long ones."""
    rows = [row for row, clip in enumerate(clips.clips) if clip is not None]
    rates = Counter(clips.rates[row] for row in rows if clips.rates[row] != rate)
    if rates:
        shown = ", ".join(f"{count} of {each} Hz" for each, count in rates.most_common(4))
        other = next(clips.names[row] for row in rows if clips.rates[row] != rate)
        logger.info("%s: brought to %d Hz are %s, such as %s", clips.path, rate, shown, other)
    if long := [clips.names[row] for row in rows if clips.seconds(row) > LONG]:
        way = "they are read whole; tasks.NAME.dataset.max_seconds=30 cuts them"
        logger.warning("%s: %d clips are longer than %g s: %s; %s", clips.path, len(long), LONG, some_names(long), way)


def is_silent(sound: Array) -> bool:
    """Return whether all samples are the same."""
    return len(sound) == 0 or float(sound.max()) == float(sound.min())


def is_clipped(sound: Array) -> bool:
    """Return whether many samples are as high, or as low, as a file can hold."""
    return len(sound) > 0 and float((np.abs(sound) >= FULL).mean()) >= CLIPPED
