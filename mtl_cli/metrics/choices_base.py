"""Choices of rows, of which a metric is computed many times."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor

AT_ONCE = 1 << 16
"""Numbers that are computed at once, of many rows or of many choices: memory stays small, and little is to call."""


@dataclass(frozen=True)
class Choices:
    """R choices of blocks of rows.

    Args:
        times: how often each block is taken, float64 [R, blocks].
        block: the block of each gathered row [N], by state.
    """

    times: Tensor
    block: Mapping[str, Tensor]

    def by_row(self) -> Iterator[dict[str, Tensor]]:
        """Yield how often each row of a state is taken, float64 [r, N], of some choices at a time."""
        size = max(1, *map(len, self.block.values()))
        for times in self.times.split(max(1, AT_ONCE // size)):
            yield {name: times[:, block] for name, block in self.block.items()}
