"""Multi-task attention network."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mtl_cli.backbones.base import BackboneFactory
from mtl_cli.batch import Inputs
from mtl_cli.features import Boundary, Features, FeatureSpec, align, join, local, pointwise, run_stage
from mtl_cli.layers.named_modules import NamedModules
from mtl_cli.sharing.base import Shared, Sharing


class MTAN(Sharing):
    """A shared trunk and, for each task and stage j, a soft mask on its features: âᵗⱼ = aᵗⱼ ⊙ pⱼ.

    aᵗ₁ = h(g(p₁)) and aᵗⱼ = h(g([pⱼ; f(âᵗⱼ₋₁)])), where g and h are layers at each position (1×1 convolutions on maps)
    with ReLU and sigmoid, one each for task and stage, and f (3×3 convolution on maps, linear otherwise, with ReLU,
    then pooling to the next stage's size) is one per stage, shared by the tasks.

    Source: Liu, Johns, Davison, "End-to-End Multi-Task Learning with Attention", CVPR 2019, eq. 1–2. Differs from it in
    reading the mask from pⱼ itself rather than from a layer inside the stage, in average pooling, and in having no
    batch normalisation in the attention modules, which padding and small batches would disturb. The skips that
    a head reads are those of the shared trunk, without a mask on them.
    """

    has_boundary = True

    def __init__(self, *, backbone: BackboneFactory, tasks: Sequence[str]) -> None:
        super().__init__()
        self.trunk = backbone()
        specs = backbone.specs[1:]
        self.extractors = nn.ModuleList()
        for name, before, after in zip(backbone.names[2:], specs, specs[1:], strict=False):
            with backbone.seeded(f"extractors/{name}"):
                self.extractors.append(nn.Sequential(local(before, after.width), nn.ReLU()))
        self.attention = NamedModules()
        for task in tasks:
            masks = nn.ModuleList()
            for index, spec in enumerate(specs):
                with backbone.seeded(f"attention/{backbone.names[index + 1]}/{task}"):
                    masks.append(AttentionMask(spec, num_inputs=1 if index == 0 else 2))
            self.attention[task] = masks
        self.specs = dict.fromkeys(tasks, backbone.specs[-1])

    def forward(self, inputs: Inputs, tasks: Sequence[str], boundary: bool = False) -> Shared:
        """Return the attended features of the last stage; the boundary is every attended stage."""
        x = run_stage(self.trunk[0], inputs)
        attended: dict[str, Features] = {}
        cut = Boundary(boundary)
        last = len(self.trunk) - 1
        for index, stage in enumerate(list(self.trunk)[1:]):
            x = run_stage(stage, x)
            seen = x.replace(cut.hand_over(x.values))
            if index == last - 1:
                seen = cut.hand_over_features(x)  # heads may read the skips
            for task in tasks:
                parts = [seen.values]
                if index > 0:
                    before = attended[task]
                    parts.append(align(Features(self.extractors[index - 1](before.values), before.mask), seen).values)
                attended[task] = seen.replace(self._mask(task, index, parts))
        return Shared(attended, cut.tensors)

    def _mask(self, task: str, index: int, parts: Sequence[Tensor]) -> Tensor:
        masks = self.attention[task]
        assert isinstance(masks, nn.ModuleList)
        return masks[index](parts)


class AttentionMask(nn.Module):
    """A soft mask on the first of its inputs: h(g([p; …])) ⊙ p, with as many channels as p."""

    def __init__(self, spec: FeatureSpec, num_inputs: int) -> None:
        super().__init__()
        self.g = pointwise(spec.widened(num_inputs * spec.width), spec.width)
        self.h = pointwise(spec, spec.width)

    def forward(self, parts: Sequence[Tensor]) -> Tensor:
        """Return the masked values; `parts` are values of one kind and shape."""
        return torch.sigmoid(self.h(torch.relu(self.g(join(parts))))) * parts[0]
