"""Batch norm on several ranks: over the rows of all of them, or of each micro-batch by itself."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from mtl_cli.ranks.ranks import Ranks


def batch_norms(model: nn.Module) -> list[_BatchNorm]:
    """Return the modules that normalise by the rows of a batch in training."""
    return [module for module in model.modules() if isinstance(module, _BatchNorm)]


class Joint(torch.autograd.Function):
    """Normalises x [B, C, ...] by mean and variance over the rows of all ranks.

    Forward, one message: the number of values per channel, their mean and their sum of squared differences from it
    [2C + 1]. Backward, one message: Σ dy and Σ dy·x̂ [2C]. Torch's SyncBatchNorm does the same, on GPUs only.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, eps: float, ranks: Ranks) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # noqa: ANN401
        """Return x̂, and mean, biased variance [C] and number of values."""
        values = x.float().transpose(0, 1).flatten(1)  # [C, N]
        mean = values.mean(dim=1, dtype=torch.float64)
        squares = (values - mean[:, None]).square().sum(dim=1)
        number = torch.full((1,), values.shape[1], dtype=torch.float64, device=x.device)
        stated = ranks.in_order(torch.cat([mean, squares, number])[None])  # [k, 2C + 1]
        means, parts, numbers = stated.split([len(mean), len(mean), 1], dim=1)
        total = numbers.sum()
        mean = (numbers * means).sum(dim=0) / total
        variance = (parts + numbers * (means - mean).square()).sum(dim=0) / total
        scale = (variance + eps).rsqrt()
        shape = [1, -1, *[1] * (x.ndim - 2)]
        normed = ((x - mean.view(shape)) * scale.view(shape)).to(x.dtype)
        ctx.save_for_backward(normed, scale, total)
        ctx.ranks, ctx.shape = ranks, shape
        ctx.mark_non_differentiable(mean, variance, total)
        return normed, mean, variance, total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401
        """Return the gradient of x."""
        normed, scale, total = ctx.saved_tensors
        dy, shape = gradients[0], ctx.shape
        others = [dim for dim in range(dy.ndim) if dim != 1]
        own = torch.stack([dy.double().sum(dim=others), (dy.double() * normed).sum(dim=others)])
        plain, along = (ctx.ranks.sum_(own) / total).unbind()
        dx = (dy - plain.view(shape) - normed * along.view(shape)) * scale.view(shape)
        return dx.to(dy.dtype), None, None


class Synced:
    """What the forward of a batch norm is with `trainer.batch_norm=sync`: the rows of all ranks are one batch.

    Every rank must run it, and its backward, equally often.
    """

    def __init__(self, module: _BatchNorm, ranks: Ranks, plain: Callable[[Tensor], Tensor]) -> None:
        self.module, self.ranks, self.plain = module, ranks, plain

    def __call__(self, x: Tensor) -> Tensor:
        """Return the normalised batch."""
        module = self.module
        if not module.training:
            return self.plain(x)
        normed, mean, variance, total = Joint.apply(x, module.eps, self.ranks)
        with torch.no_grad():
            track(module, mean, variance * total / (total - 1).clamp(min=1))
        return after(module, affine(module, normed))


class Local:
    """What the forward of a batch norm is with `trainer.batch_norm=local`: each micro-batch is normalised by itself.

    Its statistics are kept until the end of the step, when those of all micro-batches are tracked in their order.
    """

    def __init__(self, module: _BatchNorm, plain: Callable[[Tensor], Tensor]) -> None:
        self.module, self.plain = module, plain
        self.kept: list[tuple[Tensor, Tensor]] = []

    def __call__(self, x: Tensor) -> Tensor:
        """Return the normalised batch."""
        module = self.module
        if not module.training:
            return self.plain(x)
        channels = x.shape[1]
        mean, variance = (torch.zeros(channels, dtype=torch.float32, device=x.device) for _ in range(2))
        normed = F.batch_norm(x, mean, variance, module.weight, module.bias, True, 1.0, module.eps)
        self.kept.append((mean, variance))
        return after(module, normed)


def affine(module: _BatchNorm, normed: Tensor) -> Tensor:
    """Return γ·x̂ + β."""
    if module.weight is None:
        return normed
    shape = [1, -1, *[1] * (normed.ndim - 2)]
    return normed * module.weight.view(shape).to(normed) + module.bias.view(shape).to(normed)


def after(module: nn.Module, normed: Tensor) -> Tensor:
    """Return what timm's batch norms do to a normalised batch: they drop and activate."""
    drop, activate = getattr(module, "drop", None), getattr(module, "act", None)
    return normed if drop is None or activate is None else activate(drop(normed))


def track(module: _BatchNorm, mean: Tensor, variance: Tensor) -> None:
    """Move the running statistics of a batch norm towards those of a batch, mean and unbiased variance [C]."""
    if module.running_mean is None or module.running_var is None or module.num_batches_tracked is None:
        return
    module.num_batches_tracked += 1
    momentum = module.momentum if module.momentum is not None else 1 / float(module.num_batches_tracked)
    for running, new in ((module.running_mean, mean), (module.running_var, variance)):
        running.copy_(momentum * new.to(running) + (1 - momentum) * running)


class BatchNorms:
    """The batch norms of a model on several ranks; `mode` is "sync" or "local".

    Raises:
        ValueError: one of them has a forward of its own kind, which cannot be spread over ranks.
    """

    def __init__(self, model: nn.Module, ranks: Ranks, mode: str) -> None:
        self.ranks, self.joint, self._local = ranks, False, []  # type: Ranks, bool, list[Local]
        if ranks.alone:
            return
        for module in batch_norms(model):
            known = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
            if type(module) not in known and not (hasattr(module, "drop") and hasattr(module, "act")):
                raise ValueError(f"{type(module).__name__} is a batch norm that does not run on several processes.")
            plain = module.forward
            if mode == "sync":
                self.joint = True
                module.forward = Synced(module, ranks, plain)  # type: ignore[method-assign, assignment]
            else:
                local = Local(module, plain)
                self._local.append(local)
                module.forward = local  # type: ignore[method-assign, assignment]

    def start_pass(self) -> None:
        """Forget the statistics of a pass that is not to leave a trace."""
        for local in self._local:
            local.kept = []

    def taken(self) -> list[list[tuple[Tensor, Tensor]]]:
        """Return the statistics of the last pass by batch norm, one entry per time that it ran."""
        found = [local.kept for local in self._local]
        self.start_pass()
        return found

    @torch.no_grad()
    def track_all(self, own: dict[int, list[list[tuple[Tensor, Tensor]]]]) -> None:
        """Track the statistics of the passes of all ranks, `own` by number of pass, in the order of these numbers."""
        if not self._local:
            return
        found = self.ranks.collect(own)

        def tracked() -> list[dict[str, Tensor]]:
            assert found is not None, "this runs on the first rank"
            passes = {number: stated for each in found for number, stated in each.items()}
            for number in sorted(passes):
                for local, times in zip(self._local, passes[number], strict=True):
                    for mean, variance in times:
                        track(local.module, mean, variance)
            return [dict(local.module.named_buffers(recurse=False)) for local in self._local]

        for local, buffers in zip(self._local, self.ranks.tell(tracked), strict=True):
            for name, value in buffers.items():
                getattr(local.module, name).copy_(value)
