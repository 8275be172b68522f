"""The posterior of a task's last layer, and the moments of the gradient that it sends to the features."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from mtl_cli.weightings.readout_base import CATEGORICAL, GAUSSIAN, Readout

CHUNK = 64
"""Draws of the weights whose gradients [CHUNK, B, D] are held at a time."""


@dataclass(frozen=True)
class Gaussian:
    """A quadratic ½ wᵀHw − rᵀw over the weights of a last layer with biases, in G independent blocks of n, in float64.

    It stands for the normal distribution with precision H [G, n, n] and mean H⁻¹r, r [G, n]. The G blocks are the
    outputs, n = D + 1; of a categorical likelihood, whose outputs depend on each other, it is one block of all weights.
    """

    precision: Tensor
    linear: Tensor

    def __add__(self, other: "Gaussian") -> "Gaussian":
        """Return the product of both distributions."""
        return Gaussian(self.precision + other.precision, self.linear + other.linear)

    def with_prior(self, variance: float) -> "Gaussian":
        """Return the product with a normal distribution around 0."""
        identity = torch.eye(self.linear.shape[1], dtype=self.precision.dtype, device=self.precision.device)
        return Gaussian(self.precision + identity / variance, self.linear)

    def to(self, device: torch.device) -> "Gaussian":
        """Return the same on a device."""
        return Gaussian(self.precision.to(device), self.linear.to(device))


def evidence(readout: Readout) -> Gaussian:
    """Return the likelihood of the labels of a pass as a function of the weights, to second order around the present.

    The second order is that of Gauss and Newton. It is exact for a Gaussian likelihood, whose variance is 1.
    """
    inputs, weights = with_ones(readout.inputs), flat_weights(readout)  # [B, n], [O, n]
    outputs = inputs @ weights.T  # [B, O]
    marks, target = readout.marks.to(outputs), readout.target.to(outputs)
    if readout.likelihood == CATEGORICAL:
        return _categorical_evidence(inputs, weights, outputs, marks, target)
    if readout.likelihood == GAUSSIAN:
        slope, curvature = (outputs - target) * marks, marks
    else:
        probability = outputs.sigmoid()
        slope, curvature = (probability - target) * marks, probability * (1 - probability) * marks
    precision = torch.stack([(inputs * each[:, None]).T @ inputs for each in curvature.T])  # [O, n, n]
    linear = (precision @ weights[:, :, None]).squeeze(2) - slope.T @ inputs  # H w − g
    return Gaussian(precision, linear)


def _categorical_evidence(inputs: Tensor, weights: Tensor, outputs: Tensor, marks: Tensor, target: Tensor) -> Gaussian:
    probability = outputs.softmax(dim=1)
    slope = ((probability - target) * marks).T @ inputs  # [C, n]
    curvature = (torch.diag_embed(probability) - probability[:, :, None] * probability[:, None, :]) * marks[:, :, None]
    size = weights.numel()
    rows = [
        ((row[:, :, None] * inputs[:, None, :]).flatten(1).T @ inputs).unflatten(0, (-1, inputs.shape[1]))  # [C, n, n]
        for row in curvature.unbind(1)
    ]
    precision = torch.stack(rows).transpose(1, 2).reshape(1, size, size)  # [C, n, C, n]
    linear = precision[0] @ weights.flatten() - slope.flatten()
    return Gaussian(precision, linear[None])


@dataclass(frozen=True)
class Moments:
    """Mean and variance [B, D], float32, of the gradient of each row's loss at what the last layer reads."""

    mean: Tensor
    variance: Tensor


def moments(readout: Readout, posterior: Gaussian, num_samples: int, stream: torch.Generator) -> Moments:
    """Return the moments under a posterior: in closed form for a Gaussian likelihood, else from samples of the weights.

    The loss of a row is the mean over its outputs, over its one label for a categorical likelihood.
    """
    factor = torch.linalg.cholesky_ex(posterior.precision).L  # [G, n, n]
    mean = torch.cholesky_solve(posterior.linear[:, :, None], factor).squeeze(2)  # [G, n]
    if readout.likelihood == GAUSSIAN:
        return _exact_moments(readout, mean, torch.cholesky_inverse(factor))
    noise = torch.randn(*mean.shape, num_samples, generator=stream, device=stream.device).to(mean)
    draws = mean[:, :, None] + torch.linalg.solve_triangular(factor.mT, noise, upper=True)  # [G, n, S]
    shape = (*readout.weight.shape[:1], readout.weight.shape[1] + 1)
    sampled = draws.permute(2, 0, 1).reshape(num_samples, *shape).float()  # [S, O, n]
    return _sampled_moments(readout, mean.reshape(shape).to(sampled), sampled)


def _exact_moments(readout: Readout, mean: Tensor, covariance: Tensor) -> Moments:
    """Return the moments of Σₒ 2 eₒwₒ with the residual e = w̃ᵀh̃ − y, which is normal together with w."""
    inputs = with_ones(readout.inputs)
    marks, target = readout.marks.to(inputs), readout.target.to(inputs)
    outputs = mean.shape[0]
    total, spread = (torch.zeros_like(inputs[:, :-1]) for _ in range(2))
    for output in range(outputs):
        mu, sigma = mean[output], covariance[output]
        with_weights = inputs @ sigma  # cov(e, w̃) [B, n]
        residual = inputs @ mu - target[:, output]  # [B]
        variance = (with_weights * inputs).sum(dim=1, keepdim=True)  # var(e) [B, 1]
        residual, own, c = residual[:, None], mu[None, :-1], with_weights[:, :-1]
        mark = marks[:, output, None]
        total += 2 * mark * (residual * own + c)
        product = residual.square() * sigma.diagonal()[:-1] + variance * (own.square() + sigma.diagonal()[:-1])
        spread += 4 * mark * (product + 2 * residual * own * c + c.square())
    return Moments((total / outputs).float(), (spread / outputs**2).float())


def _sampled_moments(readout: Readout, mean: Tensor, sampled: Tensor) -> Moments:
    """Return the moments of (p − y)ᵀW over samples of the weights [S, O, n], as differences from `mean` [O, n]."""
    around = _gradients(readout, mean[None])[0]  # [B, D]
    first, second = torch.zeros_like(around), torch.zeros_like(around)
    for chunk in sampled.split(CHUNK):
        apart = _gradients(readout, chunk) - around
        first += apart.sum(dim=0)
        second += apart.square().sum(dim=0)
    first, second = first / len(sampled), second / len(sampled)
    return Moments(around + first, second - first.square())


def _gradients(readout: Readout, weights: Tensor) -> Tensor:
    """Return the gradients [S, B, D] of each row's loss under weights [S, O, n]."""
    inputs = readout.inputs.detach().float()
    own = weights[:, :, :-1]
    outputs = inputs @ own.mT + weights[:, None, :, -1]  # [S, B, O]
    categorical = readout.likelihood == CATEGORICAL
    expected = outputs.softmax(dim=2) if categorical else outputs.sigmoid()
    slope = (expected - readout.target) * readout.marks
    return slope @ own / (1 if categorical else slope.shape[2])


def with_ones(inputs: Tensor) -> Tensor:
    """Return inputs [B, D] with a 1 for the bias [B, D + 1], in float64."""
    return F.pad(exact(inputs.detach()), (0, 1), value=1.0)


def flat_weights(readout: Readout) -> Tensor:
    """Return weights and biases [O, D + 1] in float64."""
    return exact(torch.cat([readout.weight.detach(), readout.bias.detach()[:, None]], dim=1))


def exact(tensor: Tensor) -> Tensor:
    """Return a tensor in float64; on the CPU where the device has none."""
    return (tensor.cpu() if tensor.device.type == "mps" else tensor).double()
