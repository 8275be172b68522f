import numpy as np
import pytest
import torch
from scipy.special import expit
from sklearn.metrics import cohen_kappa_score

from mtl_cli.batch import FieldSpec
from mtl_cli.training.meters import Meter
from tests.tasks._inputs import make, targets, with_missing


def class_probabilities(outputs):
    """Return P(y = k) = Πⱼ<ₖ σ(oⱼ) · (1 − σ(oₖ)) in float64."""
    pass_on = expit(outputs.double().numpy())
    reach = np.cumprod(np.hstack([np.ones((len(outputs), 1)), pass_on]), axis=1)
    return reach * np.hstack([1 - pass_on, np.ones((len(outputs), 1))])


def test_the_loss_is_the_negative_log_likelihood_of_the_classes():
    target, outputs = with_missing(targets("ordinal")), torch.randn(40, 4) * 2
    kept = target >= 0
    probabilities = class_probabilities(outputs[kept])
    expected = -np.log(probabilities[np.arange(len(probabilities)), target[kept]]).mean()
    assert make("ordinal").loss(outputs, target).item() == pytest.approx(expected, rel=1e-5)
    assert make("ordinal").probabilities(outputs[kept]).numpy() == pytest.approx(probabilities, abs=1e-6)


def test_the_prediction_is_the_median_and_ranks_are_consistent_for_any_outputs():
    outputs = torch.randn(200, 4) * 5
    beyond = 1 - np.cumsum(class_probabilities(outputs), axis=1)[:, :-1]
    assert (np.diff(beyond, axis=1) <= 1e-12).all()
    assert make("ordinal").predictions(outputs).tolist() == (beyond > 0.5).sum(axis=1).tolist()


def test_metrics_by_hand():
    """Ranks 0 2 1 4 for labels 0 1 1 2: accuracy 2/4, errors 0 1 0 2."""
    ranks, target = torch.tensor([0, 2, 1, 4]), torch.tensor([0, 1, 1, 2])
    outputs = torch.where(ranks[:, None] > torch.arange(4), 9.0, -9.0)
    meter = Meter(make("ordinal"), torch.device("cpu"))
    meter.update(outputs, target, 4)
    metrics = meter.result().metrics
    assert metrics["accuracy"] == 0.5
    assert metrics["mae"] == 0.75
    reference = cohen_kappa_score(ranks, target, labels=range(5), weights="quadratic")
    assert metrics["qwk"] == pytest.approx(reference, abs=1e-6)
    assert make("ordinal").decode(outputs)["t_prediction"].tolist() == ["--", "0", "-", "++"]


def test_the_trivial_predictor_has_the_frequencies_of_the_labels_and_kappa_zero():
    target = targets("ordinal", 200)
    outputs = make("ordinal").trivial_outputs(make("ordinal").summarise(target)).expand(200, -1)
    frequencies = np.bincount(target, minlength=5) / 200
    assert make("ordinal").probabilities(outputs)[0].numpy() == pytest.approx(frequencies, abs=1e-5)
    meter = Meter(make("ordinal"), torch.device("cpu"))
    meter.update(outputs, target, 200)
    assert meter.result().metrics["qwk"] == pytest.approx(0.0, abs=1e-6)


def test_two_classes_are_enough_and_one_is_refused():
    assert make("ordinal", FieldSpec("ordinal", 2)).num_outputs == 1
    with pytest.raises(ValueError, match="with 1 classes"):
        make("ordinal", FieldSpec("ordinal", 1))
