"""The stages of a backbone, and how they are run: what they read beside values, and what they leave."""

from collections.abc import Iterable, Iterator
from typing import cast

from torch import Tensor, nn

from mtl_cli.batch import Inputs
from mtl_cli.features.features import Features


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
