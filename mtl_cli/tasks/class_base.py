"""What helps with imbalanced classes: weights by class, and the focal loss."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from mtl_cli.batch import FieldSpec
from mtl_cli.errors import nearest, some
from mtl_cli.tables.place import canonical
from mtl_cli.tasks.base import Coded

ClassWeights = str | Sequence[float] | Mapping[str, float] | None
"""Weights of classes in a loss: "balanced", one per class, or some by the names of their classes."""


def weights_by_class(wanted: ClassWeights, field: FieldSpec, where: str) -> Tensor | None:
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
            raise ValueError(f"{where}.class_weights is '{wanted}'; it is null, balanced, a list or {{CLASS: 2}}.")
        if len(counts) != num_classes:
            raise ValueError(f"{where}.class_weights is balanced, but the field has no counts. Give a list of numbers.")
        present = sum(count > 0 for count in counts)
        return torch.tensor([sum(counts) / (present * count) if count else 0.0 for count in counts])
    if isinstance(wanted, Mapping):
        wanted = _by_name(wanted, field, where)
    weights = torch.tensor([float(weight) for weight in wanted])
    if len(weights) != num_classes or not bool((weights.isfinite() & (weights >= 0)).all()) or not weights.any():
        raise ValueError(
            f"{where}.class_weights is {list(wanted)}; give a number ≥ 0 for each of the {num_classes} classes, "
            f"one of them above 0, such as {where}.class_weights=[{','.join(['1'] * num_classes)}]."
        )
    return weights


def stacked_weights(weights: Sequence[Tensor | None], num_classes: int) -> Tensor | None:
    """Return the weights of the classes of several tasks [T, C]; None where all are 1."""
    if all(each is None for each in weights):
        return None
    return torch.stack([torch.ones(num_classes) if each is None else each for each in weights])


def _by_name(wanted: Mapping[str, float], field: FieldSpec, where: str) -> list[float]:
    """Return the weight of each class, 1 for those that are not named."""
    names, given = (
        class_labels(field, field.num_classes),
        {canonical(str(name)): value for name, value in wanted.items()},
    )
    if unknown := [name for name in given if name not in names]:
        raise ValueError(
            f"{where}.class_weights names '{unknown[0]}', which is not a class.{nearest(unknown[0], names)} Classes: "
            f"{some(names)}."
        )
    return [given.get(name, 1.0) for name in names]


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


def class_labels(field: FieldSpec, num_classes: int) -> list[str]:
    """Return the names of the classes, their numbers where they have none."""
    return list(field.class_names) or [str(number) for number in range(num_classes)]


def probability_columns(name: str, labels: Sequence[str], probabilities: Tensor) -> dict[str, Coded]:
    """Return probabilities [B, C] as columns "<name>_probability_<label>"."""
    return {f"{name}_probability_{label}": Coded(probabilities[:, index]) for index, label in enumerate(labels)}
