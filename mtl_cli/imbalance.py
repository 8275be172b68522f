"""What helps with imbalanced classes: weights by class, and the focal loss."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mtl_cli.batch import FieldSpec


def weights_by_class(wanted: str | Sequence[float] | None, field: FieldSpec, where: str) -> Tensor | None:
    """Return the weight of each class [C] in the loss; None where all are 1.

    "balanced" is N/(C·n_c) (King & Zeng, "Logistic regression in rare events data", Political Analysis 2001; so in
    scikit-learn), n_c being the training labels of a class and C the classes that have any: the mean over the training
    labels is 1.

    Raises:
        ValueError: `wanted` is neither None, "balanced" nor a number ≥ 0 for each class.
    """
    counts, num_classes = field.counts, field.num_classes
    if wanted is None:
        return None
    if isinstance(wanted, str):
        if wanted != "balanced":
            raise ValueError(f"{where}.class_weights is '{wanted}'; it is null, balanced or a list of numbers.")
        if len(counts) != num_classes:
            raise ValueError(f"{where}.class_weights is balanced, but the field has no counts. Give a list of numbers.")
        present = sum(count > 0 for count in counts)
        return torch.tensor([sum(counts) / (present * count) if count else 0.0 for count in counts])
    weights = torch.tensor([float(weight) for weight in wanted])
    if len(weights) != num_classes or not bool((weights.isfinite() & (weights >= 0)).all()) or not weights.any():
        raise ValueError(
            f"{where}.class_weights is {list(wanted)}; give a number ≥ 0 for each of the {num_classes} classes, "
            f"one of them above 0, such as {where}.class_weights=[{','.join(['1'] * num_classes)}]."
        )
    return weights


def checked_smoothing(label_smoothing: float, where: str) -> float:
    """Return the label smoothing.

    Raises:
        ValueError: it is not in [0, 1).
    """
    if not 0.0 <= label_smoothing < 1.0:
        raise ValueError(f"{where}.label_smoothing is {label_smoothing}; it lies in [0, 1).")
    return label_smoothing


def checked_gamma(focal_gamma: float, where: str) -> float:
    """Return the exponent of the focal loss.

    Raises:
        ValueError: it is negative or not finite.
    """
    if not 0.0 <= focal_gamma < float("inf"):
        raise ValueError(f"{where}.focal_gamma is {focal_gamma}; it is 0 (no focal loss) or more, usually 2.")
    return focal_gamma


def focal_factor(cross_entropy: Tensor, gamma: float) -> Tensor:
    """Return (1 − p)^γ for the probability p = exp(−cross_entropy) of the true class.

    Lin, Goyal, Girshick, He, Dollár, "Focal loss for dense object detection", ICCV 2017, equation 4.
    """
    return (-torch.expm1(-cross_entropy)).clamp_min(1e-12) ** gamma  # at 0 the gradient of a root is infinite
