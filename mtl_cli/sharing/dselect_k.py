"""Differentiable selection of k experts."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mtl_cli.backbones.base import BackboneFactory
from mtl_cli.batch import Inputs
from mtl_cli.config.annotations import one_of
from mtl_cli.features import Boundary, Features, pool, run_stages
from mtl_cli.layers.named_modules import NamedModules
from mtl_cli.sharing.base import Shared, Sharing
from mtl_cli.sharing.expert_base import Stack, count_problems, run_experts, split_point

GATES = ("per_example", "static")
EPSILON = 1e-6  # inside the logarithm and the reciprocal, as in the authors' code


class DSelectK(Sharing):
    """Experts that all tasks share, of which each task's gate selects at most k: q(α, Z) = Σᵢ softmax(α)ᵢ r(z⁽ⁱ⁾).

    A selector r(z) ∈ Δ_E of m = ⌈log₂ E⌉ variables gives expert e the product over its binary digits j of S(zⱼ) where
    the digit is 1 and of 1 − S(zⱼ) where it is 0, S the smooth step, which reaches 0 and 1 outside ±γ/2.

    Source: Hazimeh et al., "DSelect-k: Differentiable Selection in the Mixture of Experts with Applications to
    Multi-Task Learning", NeurIPS 2021, section 3 (static gates, and per-example gates with α = Gx, z⁽ⁱ⁾ = W⁽ⁱ⁾x, here
    with biases as in the authors' code). The entropy Σᵢ H(r(z⁽ⁱ⁾)) is added with strength `entropy`; where E is not a
    power of 2, so is Σᵢ (1/Σₑ r(z⁽ⁱ⁾)ₑ − 1), which keeps selectors on experts that exist. Differs from the authors'
    code in that penalties of per-example gates are means over the batch, and in the −1, which makes the latter 0 once
    it has done its work; and in that experts are copies of the last stages on a shared trunk. Experts that static gates
    give the weight 0 for all of a batch's tasks do not run; their gradient would be 0.

    Args:
        num_experts: E.
        num_selected: k.
        expert_stages: stages that each expert is a copy of, counted from the end.
        gate: "per_example", which reads the trunk's pooled features, or "static".
        gamma: γ, the width of the smooth step.
        entropy: strength of the entropy term.
        backbone: makes trunk and experts.
        tasks: names of all tasks.

    Raises:
        ValueError: an argument is out of its range, such as more experts to select than exist.
    """

    has_boundary = True

    runs_whole_modules = False

    def __init__(
        self,
        num_experts: int,
        num_selected: int,
        expert_stages: int,
        gate: str,
        gamma: float,
        entropy: float,
        *,
        backbone: BackboneFactory,
        tasks: Sequence[str],
    ) -> None:
        super().__init__()
        problems = setting_problems(num_experts, num_selected, gate, gamma, entropy)
        split = split_point(backbone.specs, expert_stages, problems)
        self.entropy = entropy
        self.trunk = backbone(stop=split)
        self.experts = nn.ModuleList(backbone(str(e), start=split + 1) for e in range(num_experts))
        self.gates = NamedModules()
        for task in tasks:
            with backbone.seeded(f"gates/{task}"):
                if gate == "static":
                    self.gates[task] = StaticGate(num_experts, num_selected, gamma)
                else:
                    self.gates[task] = ExampleGate(num_experts, num_selected, gamma, backbone.specs[split].width)
        self.is_static = gate == "static"
        self.penalises = not self.is_static
        self.specs = dict.fromkeys(tasks, backbone.specs[-1])

    def forward(self, inputs: Inputs, tasks: Sequence[str], boundary: bool = False) -> Shared:
        """Return each task's mixture.

        The boundary is the experts' outputs [B, E, ...] and, for per-example gates, the gates' input [B, D].
        """
        x = run_stages(self.trunk, inputs)
        if self.is_static:
            return self._forward_static(x, tasks, boundary)
        cut = Boundary(boundary)
        pooled = pool(x)
        experts = run_experts(self.experts, x).handed_over(cut)
        pooled = cut.hand_over(pooled)
        chosen = {task: self.gates[task](pooled) for task in tasks}
        features = {task: experts.mix(selection.weights) for task, selection in chosen.items()}
        penalties = [selection.penalty(self.entropy) for selection in chosen.values()]
        return Shared(features, cut.tensors, total(penalties))

    def regularizer(self) -> Tensor | None:
        """Return the penalty of static gates; that of per-example gates depends on the batch."""
        if not self.is_static:
            return None
        return total([gate().penalty(self.entropy) for gate in self.gates.values()])

    def _forward_static(self, x: Features, tasks: Sequence[str], boundary: bool) -> Shared:
        weights = {task: self.gates[task]().weights for task in tasks}  # each [1, E]
        used = torch.cat(list(weights.values())).detach().sum(dim=0).nonzero().flatten().tolist()
        cut = Boundary(boundary)
        experts = run_experts([self.experts[e] for e in used or [0]], x).handed_over(cut)
        features = {task: spread(experts, weight[:, used or [0]]) for task, weight in weights.items()}
        return Shared(features, cut.tensors)


@dataclass(frozen=True)
class Selection:
    """What a gate chose: weights [B, E] and each selector's choice [B, k, E]; B is 1 for a static gate."""

    weights: Tensor
    selectors: Tensor

    def penalty(self, entropy: float) -> Tensor | None:
        """Return the entropy term plus, where E is not a power of 2, the term for experts that exist; mean over B."""
        terms = []
        experts = self.selectors.shape[-1]
        if entropy > 0:
            terms.append(-entropy * (self.selectors * torch.log(self.selectors + EPSILON)).sum(dim=(1, 2)).mean())
        if experts & (experts - 1):
            terms.append((1.0 / (self.selectors.sum(dim=-1) + EPSILON) - 1.0).sum(dim=1).mean())
        return total(terms)


class SelectorGate(nn.Module, ABC):
    """k single-expert selectors and their softmax weights."""

    codes: Tensor

    def __init__(self, num_experts: int, num_selected: int, gamma: float) -> None:
        super().__init__()
        self.num_selected, self.gamma = num_selected, gamma
        self.num_digits = (num_experts - 1).bit_length()
        codes = torch.arange(num_experts).unsqueeze(1) >> torch.arange(self.num_digits)
        self.register_buffer("codes", (codes & 1).bool(), persistent=False)  # [E, m]

    @abstractmethod
    def forward(self, *inputs: Tensor) -> Selection:
        """Return the selection; an `ExampleGate` reads pooled features [B, D]."""

    def select(self, z: Tensor, alpha: Tensor) -> Selection:
        """Return the selection for z [B, k, m] and α [B, k]."""
        step = smooth_step(z, self.gamma).unsqueeze(2)  # [B, k, 1, m]
        selectors = step.new_ones(step.shape[0], self.num_selected, len(self.codes))  # [B, k, E]
        for factor in torch.where(self.codes, step, 1.0 - step).unbind(dim=-1):
            selectors = selectors * factor  # not torch.prod, whose gradient waits for the device
        weights = torch.einsum("bk,bke->be", torch.softmax(alpha, dim=-1), selectors)
        return Selection(weights, selectors)


class StaticGate(SelectorGate):
    """A gate of parameters only: z [k, m] and α [k]."""

    def __init__(self, num_experts: int, num_selected: int, gamma: float) -> None:
        super().__init__(num_experts, num_selected, gamma)
        self.z = uniform(gamma / 100, num_selected, self.num_digits)
        self.alpha = uniform(0.05, num_selected)

    def forward(self, *inputs: Tensor) -> Selection:
        """Return the same selection for all samples."""
        return self.select(self.z.unsqueeze(0), self.alpha.unsqueeze(0))


class ExampleGate(SelectorGate):
    """A gate for each sample: z = W x + c [B, k, m] and α = G x + b [B, k]."""

    def __init__(self, num_experts: int, num_selected: int, gamma: float, width: int) -> None:
        super().__init__(num_experts, num_selected, gamma)
        self.z_weight = uniform(gamma / 100, num_selected * self.num_digits, width)
        self.z_bias = uniform(gamma / 100, num_selected * self.num_digits)
        self.alpha_weight = uniform(0.05, num_selected, width)
        self.alpha_bias = uniform(0.05, num_selected)

    def forward(self, *inputs: Tensor) -> Selection:
        """Return a selection for each row of pooled features [B, D]."""
        (x,) = inputs
        z = F.linear(x, self.z_weight, self.z_bias).unflatten(1, (self.num_selected, self.num_digits))
        return self.select(z, F.linear(x, self.alpha_weight, self.alpha_bias))


def smooth_step(t: Tensor, gamma: float) -> Tensor:
    """Return S(t) = −2/γ³·t³ + 3/(2γ)·t + 1/2, which is 0 below −γ/2 and 1 above γ/2."""
    inside = -2.0 / gamma**3 * t * t * t + 1.5 / gamma * t + 0.5
    return torch.where(t <= -gamma / 2, torch.zeros_like(t), torch.where(t >= gamma / 2, torch.ones_like(t), inside))


def uniform(bound: float, *shape: int) -> nn.Parameter:
    """Return a parameter drawn from U(−bound, bound)."""
    return nn.Parameter(torch.empty(shape).uniform_(-bound, bound))


def spread(experts: Stack, weights: Tensor) -> Features:
    """Return the mixture under the same weights [1, E] for all samples."""
    return experts.mix(weights.expand(experts.values.shape[0], -1))


def total(terms: Sequence[Tensor | None]) -> Tensor | None:
    """Return the sum of the terms that exist; None where none does."""
    present = [term for term in terms if term is not None]
    return torch.stack(present).sum() if present else None


def setting_problems(num_experts: int, num_selected: int, gate: str, gamma: float, entropy: float) -> list[str]:
    """Return what is wrong with the arguments of `DSelectK`."""
    problems = count_problems(num_experts=num_experts, num_selected=num_selected)
    if num_selected > num_experts > 0:
        problems.append(
            f"sharing.num_selected is {num_selected}, but there are {num_experts} experts. "
            f"Use sharing.num_selected={num_experts} or sharing.num_experts={num_selected}."
        )
    if gate not in GATES:
        problems.append(one_of("sharing.gate", gate, GATES))
    if not (math.isfinite(gamma) and gamma > 0):
        problems.append(f"sharing.gamma is {gamma}; a width is a finite number > 0. Use sharing.gamma=1.0.")
    if not (math.isfinite(entropy) and entropy >= 0):
        problems.append(
            f"sharing.entropy is {entropy}; a strength is a finite number ≥ 0. Use sharing.entropy=1e-6, or 0 for none."
        )
    return problems
