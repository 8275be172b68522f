"""What the passes of a step leave on each rank, added up over all of them."""

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

from mtl_cli.ranks.ranks import Ranks


def sum_reached(ranks: Ranks, own: Sequence[Iterable[int]], number: int) -> list[set[int]]:
    """Return, for each of several sets of indices below `number`, the union over all ranks; no wait for a device."""
    marks = [[0] * number for _ in own]
    for mark, indices in zip(marks, own, strict=True):
        for index in indices:
            mark[index] = 1
    found = ranks.add_up([flag for mark in marks for flag in mark])
    return [{at for at in range(number) if found[start * number + at]} for start in range(len(own))]


@torch.no_grad()
def sum_left(ranks: Ranks, trained: Sequence[nn.Parameter], penalties: dict[nn.Parameter, Tensor]) -> None:
    """Add up `.grad` of the trained parameters, and gradients of penalties, over all ranks; one message for both.

    A parameter that no rank has reached keeps no gradient: zeros would move it, by weight decay and momentum.
    """
    own = [[at for at, parameter in enumerate(trained) if parameter.grad is not None],
           [at for at, parameter in enumerate(trained) if parameter in penalties]]  # fmt: skip
    reached, penalised = sum_reached(ranks, own, len(trained))
    with_gradient, with_penalty = ([trained[at] for at in sorted(each)] for each in (reached, penalised))
    summed = sum_joined(
        ranks,
        [*with_gradient, *with_penalty],
        [*(parameter.grad for parameter in with_gradient), *map(penalties.get, with_penalty)],
    )
    for parameter, total in zip(with_gradient, summed, strict=False):
        parameter.grad = total
    penalties.update(zip(with_penalty, summed[len(with_gradient) :], strict=True))


def sum_joined(ranks: Ranks, like: Sequence[Tensor], parts: Sequence[Tensor | None]) -> list[Tensor]:
    """Return the sums over all ranks of tensors of the shapes of `like`, sent as one; None stands for zeros."""
    if not like:
        return []
    pieces = [torch.zeros_like(each) if part is None else part for each, part in zip(like, parts, strict=True)]
    joined = ranks.sum_(torch.cat([piece.flatten() for piece in pieces]))
    return [piece.view(each.shape) for each, piece in zip(like, joined.split([p.numel() for p in like]), strict=True)]


@torch.no_grad()
def sum_by_name(
    ranks: Ranks, own: Mapping[str, Tensor], names: Sequence[str], device: torch.device
) -> dict[str, Tensor]:
    """Return scalars added up over all ranks, some of which have none; `names` are in one order on all ranks.

    The dictionary has this rank's own order.
    """
    zero = torch.zeros((), device=device)
    totals = dict(zip(names, ranks.sum_(torch.stack([own.get(name, zero) for name in names])), strict=True))
    return {name: totals[name] for name in [*own, *(name for name in names if name not in own)]}
