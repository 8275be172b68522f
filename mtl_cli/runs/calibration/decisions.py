"""Decisions from probabilities that are best by accuracy or F1 on the rows at hand."""

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
FACTORS = np.geomspace(1 / 8, 8, 25)
"""Factors of a class's weight that are tried; 1 is among them."""
PASSES = 3
MAX_CUTS = 1000


def score(predicted: Array, truth: Array, classes: int, metric: str) -> float:
    """Return accuracy, or macro-F1 over the classes that occur among truth or decisions; of two classes F1 of class 1.

    As the metrics of the tasks have it.
    """
    if metric == "accuracy":
        return float((predicted == truth).mean())
    right = np.bincount(truth[predicted == truth], minlength=classes)
    total = np.bincount(predicted, minlength=classes) + np.bincount(truth, minlength=classes)
    values = 2 * right[total > 0] / total[total > 0]
    if classes == 2:
        return float(2 * right[1] / total[1]) if total[1] else 0.0
    return float(values.mean())


def best_weights(probabilities: Array, truth: Array, metric: str) -> tuple[float, ...]:
    """Return a weight for each class [C], such that the highest weighted probability gives the best decision.

    Of two classes every threshold is tried; of more, the weights are changed one after the other. Weights that are no
    better than those before are not taken.
    """
    classes = probabilities.shape[1]
    if classes == 2:
        cut = best_cut(probabilities[:, 1], truth, metric)
        return cut, 1.0 - cut
    weights = np.ones(classes)
    best = score(probabilities.argmax(axis=1), truth, classes, metric)
    for _ in range(PASSES):
        before = best
        for index in range(classes):
            for factor in FACTORS:
                tried = weights.copy()
                tried[index] *= factor
                value = score((probabilities * tried).argmax(axis=1), truth, classes, metric)
                if value > best:
                    best, weights = value, tried
        if best == before:
            break
    return tuple(float(f"{weight:.6g}") for weight in weights / weights.max())


def best_cut(probability: Array, truth: Array, metric: str) -> float:
    """Return the threshold of the probability [N] of class 1, above which it is predicted: the best, nearest to 1/2."""
    values = np.unique(probability)
    cuts = np.unique(np.concatenate([[0.5], (values[1:] + values[:-1]) / 2]))
    if len(cuts) > MAX_CUTS:
        cuts = np.unique(np.append(np.quantile(cuts, np.linspace(0, 1, MAX_CUTS)), 0.5))
    found = [(score((probability > cut).astype(np.int64), truth, 2, metric), -abs(cut - 0.5), cut) for cut in cuts]
    return float(max(found)[2])


def best_thresholds(probabilities: Array, truth: Array, metric: str) -> tuple[float, ...]:
    """Return the threshold of each label [C]; truth [N, C] is 1, 0, or −1 where it is not known."""
    found = []
    for probability, label in zip(probabilities.T, truth.T, strict=True):
        known = label >= 0
        found.append(best_cut(probability[known], label[known].astype(np.int64), metric) if known.any() else 0.5)
    return tuple(found)
