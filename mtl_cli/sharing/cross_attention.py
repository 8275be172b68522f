"""Tasks that attend to each other's features."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mtl_cli.backbones.base import BackboneFactory
from mtl_cli.batch import Inputs
from mtl_cli.features import Boundary, Features, add_coarse, coarser, run_stages, tokens, untokens
from mtl_cli.layers.named import checked_dropout
from mtl_cli.layers.named_modules import NamedModules
from mtl_cli.sharing.base import Shared, Sharing
from mtl_cli.sharing.column_base import hand_over_columns, partner_groups


class CrossAttention(Sharing):
    """One backbone per task; its features, as tokens, attend to all: fₜ + MultiHead(fₜ, F, F), F = [f₁; …; f_T].

    Source: Vaswani et al., "Attention Is All You Need", NeurIPS 2017, section 3.2.2, across tasks as in Lopes, Vu,
    de Charette, "Cross-task Attention Mechanism for Dense Multi-task Learning", WACV 2023. Differs from the latter in
    attending to all tasks at once, one's own included, after the last stage. A vector is one token: attention then
    chooses among T tokens and has no places to compare. A map is H·W of them, and attention takes (H·W)²·T products per
    task. With `grid` a larger map attends as the means over grid × grid
    places, and what it reads is enlarged bilinearly: a step of three tasks on 128² images and 64² maps takes 0.05 s
    instead of 5.4 s of one thread. A task that has no partner is not changed.

    Args:
        num_heads: attention heads; divides the width of the features.
        dropout: probability, on attention weights.
        partners: tasks that attend to each other, "dataset" or "all" (see `column_base.partner_groups`).
        grid: largest height and width of maps that attend; None lets all positions attend.
        backbone: makes the columns.
        tasks: names of all tasks.

    Raises:
        ValueError: an argument is not among its choices.
    """

    has_boundary = True

    def __init__(
        self,
        num_heads: int,
        dropout: float,
        partners: str,
        grid: int | None = None,
        *,
        backbone: BackboneFactory,
        tasks: Sequence[str],
    ) -> None:
        super().__init__()
        width = backbone.specs[-1].width
        if num_heads < 1 or width % num_heads:
            valid = [heads for heads in range(1, min(width, 32) + 1) if width % heads == 0]
            raise ValueError(
                f"sharing.num_heads is {num_heads}; it divides the width of the backbone's features, {width}. "
                f"Use sharing.num_heads={max(heads for heads in valid if heads <= max(num_heads, 1))} "
                f"(valid: {', '.join(map(str, valid))})."
            )
        checked_dropout(dropout)
        if grid is not None and grid < 1:
            raise ValueError(
                f"sharing.grid is {grid}; it is at least 1, or null for all positions. Use sharing.grid=16."
            )
        self.grid = grid
        self.groups = partner_groups(partners, tasks, backbone.dataset_of)
        mates = {task: tasks if partners == "all" else [task] for task in tasks}
        self.columns = NamedModules({task: backbone(task, tasks=mates[task]) for task in tasks})
        self.attention = NamedModules()
        for task in tasks:
            if any(task in group and len(group) > 1 for group in self.groups.values()):
                with backbone.seeded(f"attention/{task}"):
                    self.attention[task] = nn.MultiheadAttention(width, num_heads, dropout, batch_first=True)
        self.specs = dict.fromkeys(tasks, backbone.specs[-1])

    def forward(self, inputs: Inputs, tasks: Sequence[str], boundary: bool = False) -> Shared:
        """Return the features of `tasks` after attention; the boundary is every partner's features before it."""
        group = self.groups[inputs.dataset]
        cut = Boundary(boundary)
        features = hand_over_columns({task: run_stages(self.columns[task], inputs) for task in group}, tasks, cut)
        if len(group) == 1:
            return Shared({task: features[task] for task in tasks}, cut.tensors)
        coarse = {task: coarser(x, self.grid) for task, x in features.items()}
        keys = torch.cat([tokens(x) for x in coarse.values()], dim=1)  # [B, T·L, D]
        padding = key_padding(list(features.values()))
        read = {task: self._read(task, coarse[task], keys, padding) for task in tasks}
        return Shared({task: add_coarse(features[task], values) for task, values in read.items()}, cut.tensors)

    def _read(self, task: str, x: Features, keys: Tensor, padding: Tensor | None) -> Tensor:
        read, _ = self.attention[task](tokens(x), keys, keys, key_padding_mask=padding, need_weights=False)
        return untokens(read, x).values


def key_padding(features: Sequence[Features]) -> Tensor | None:
    """Return True where a token of the joined sequences is padding [B, T·L]; None where nothing is padded.

    A sample without any real token masks nothing, since attention over no token is not a number.
    """
    if features[0].mask is None:
        return None
    padding = ~torch.cat([x.mask for x in features if x.mask is not None], dim=1)
    return padding & ~padding.all(dim=1, keepdim=True)
