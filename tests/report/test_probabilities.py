import numpy as np
import pytest
from sklearn import metrics

from mtl_cli.report.probabilities import (
    BINS,
    confidence,
    judged_classes,
    judged_labels,
    pooled,
    precision_recall,
    probability_figure,
    reliability,
    roc,
)


def drawn(rows, seed, steps=None):
    """Return probabilities [N] that hold what they promise, in so many steps, and what was true."""
    stream = np.random.default_rng(seed)
    said = stream.random(rows)
    said = said if steps is None else np.round(said * steps) / steps
    return said, stream.random(rows) < said


@pytest.mark.parametrize(("rows", "steps"), [(50, None), (400, 7), (3, 2)])
def test_curves_are_those_of_scikit_learn_ties_included(rows, steps):
    said, truth = drawn(rows, rows, steps)
    truth[:2] = True, False
    false, hit, _ = metrics.roc_curve(truth, said, drop_intermediate=False)
    assert np.allclose(roc(said, truth), (false, hit))
    precision, recall, _ = metrics.precision_recall_curve(truth, said)
    own_recall, own_precision = precision_recall(said, truth)
    assert np.allclose(own_precision, precision[:-1][::-1])  # the last point there is no threshold's
    assert np.allclose(own_recall, recall[:-1][::-1])


def test_reliability_by_hand():
    said, truth = np.array([0.05, 0.15, 0.15, 1.0, 0.95, 0.91]), np.array([0, 1, 0, 1, 1, 0], dtype=bool)
    found = reliability(said, truth)
    assert found.rows.tolist() == [1, 2, 3]
    assert found.said == pytest.approx([0.05, 0.15, 0.9533333])
    assert found.true == pytest.approx([0, 0.5, 2 / 3])
    assert found.error == pytest.approx((0.05 + 2 * 0.35 + 3 * 0.2866667) / 6)


def test_probabilities_that_hold_their_promise_have_a_small_error_and_others_a_large_one():
    said, truth = drawn(20_000, 0)
    assert reliability(said, truth).error < 0.02
    assert reliability(said, np.random.default_rng(1).permutation(truth)).error > 0.2
    assert len(reliability(said, truth).rows) == BINS


def test_of_two_classes_the_second_of_many_the_frequent_ones_and_of_labels_the_known_rows_are_judged():
    two = judged_classes(np.array([[0.3, 0.7], [0.8, 0.2]]), np.array([1, 0]), ["no", "yes"])
    assert [(each.name, each.probabilities.tolist(), each.truth.tolist()) for each in two] == [
        ("yes", [0.7, 0.2], [True, False])
    ]
    classes = np.repeat(np.arange(12), np.arange(1, 13))
    many = judged_classes(np.full((len(classes), 12), 1 / 12), classes, list("abcdefghijkl"))
    assert "".join(each.name for each in many) == "cdefghijkl"
    labels = np.array([[1, -1], [0, 1], [-1, -1]])
    said = np.array([[0.9, 0.1], [0.2, 0.3], [0.5, 0.5]])
    first, second = judged_labels(said, labels, ["a", "b"])
    assert first.probabilities.tolist() == [0.9, 0.2]
    assert second.truth.tolist() == [True]
    assert not second.both
    assert pooled("all", said, labels).probabilities.tolist() == [0.9, 0.2, 0.3]
    top = confidence(np.array([[0.1, 0.9], [0.6, 0.4]]), np.array([1, 1]))
    assert (top.probabilities.tolist(), top.truth.tolist()) == ([0.9, 0.6], [True, False])


def test_the_figure_names_areas_and_errors_and_leaves_out_classes_that_are_not_there():
    said, truth = drawn(300, 3)
    judged = judged_classes(np.stack([1 - said, said], axis=1), truth.astype(int), ["no", "yes"])
    nothing = judged_classes(np.stack([1 - said, said], axis=1), np.zeros(300, dtype=int), ["no", "never"])
    figure = probability_figure("task, test", [*judged, *nothing], judged)
    (legend,) = figure.legends
    texts = [text.get_text().strip() for text in legend.get_texts()]
    area = metrics.roc_auc_score(truth, said)
    assert texts == [f"yes, AUC {area:.3f}", f"yes, error {reliability(said, truth).error:.3f}", "chance, ideal"]
