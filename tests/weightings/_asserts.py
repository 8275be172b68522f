"""Properties that a weighting has over all inputs."""

import torch
from torch import Tensor

from mtl_cli.weightings.cross_base import CrossWeighting
from mtl_cli.weightings.gradient_base import GradientWeighting
from mtl_cli.weightings.linalg.jacobian import gramian
from mtl_cli.weightings.row_base import RowWeighting
from tests.weightings._inputs import positive_losses


def update_of(weighting: RowWeighting, rows: Tensor, losses: Tensor | None = None) -> Tensor:
    """Return the update [P] for rows [K, P] of all tasks of a weighting without norm matching."""
    present = torch.arange(len(rows))
    losses = positive_losses(len(rows)) if losses is None else losses
    if isinstance(weighting, GradientWeighting):
        weights = weighting.weigh(rows @ rows.T, losses, present)
    elif isinstance(weighting, CrossWeighting):
        weights = weighting.weigh(gramian(rows, rows.flip(1)), losses, present)
    else:
        return weighting(rows, losses, present)
    return weights.detach() @ rows


def assert_close(got: Tensor, wanted: Tensor, tolerance: float) -> None:
    """Compare two vectors by the norm of their difference, relative to the wanted one's norm."""
    error = torch.linalg.vector_norm(got - wanted)
    assert error <= tolerance * torch.linalg.vector_norm(wanted), f"relative error {error / wanted.norm():.1e}"


def assert_same_direction(got: Tensor, wanted: Tensor, scale: Tensor, tolerance: float) -> None:
    """Compare two updates, relative to the largest gradient: an update may be next to 0 by right."""
    error = torch.linalg.vector_norm(got - wanted)
    assert error <= tolerance * scale, f"error {error / scale:.1e} of the largest gradient"


def largest_norm(rows: Tensor) -> Tensor:
    return torch.linalg.vector_norm(rows, dim=1).max()


def assert_no_conflict(update: Tensor, rows: Tensor) -> None:
    """The update is at most 1e-6 of the largest gradient, or has a cosine of at least −1e-4 with every gradient."""
    norms = torch.linalg.vector_norm(rows, dim=1)
    length = torch.linalg.vector_norm(update)
    if length <= 1e-6 * norms.max():
        return
    present = norms > 0
    cosines = rows[present] @ update / (norms[present] * length)
    assert cosines.min() >= -1e-4, f"cosine {cosines.min():.2e}, update {length / norms.max():.1e} of the largest"
