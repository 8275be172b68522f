"""What is fitted on validation rows: planted temperatures, decisions by brute force, coverage over many sets."""

import numpy as np
import pytest
import torch

from mtl_cli.batch import FieldSpec
from mtl_cli.errors import UserError
from mtl_cli.runs.calibration.checking import calibration_error, checked
from mtl_cli.runs.calibration.decisions import best_cut, best_weights, score
from mtl_cli.runs.calibration.fitting import best_temperature, calibrate, lowest_in_set, margins, survival
from mtl_cli.runs.calibration.listening import JOINED, Kept, LabelledOutputs
from mtl_cli.runs.calibration.wish import Wish
from mtl_cli.tasks.calibration_base import Calibration
from tests.tasks._inputs import make


def classes(rows, factor, seed=0, size=3):
    """Return outputs that are `factor` times the logits from which labels were drawn."""
    stream = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(rows, size, generator=stream)
    return LabelledOutputs(factor * logits, torch.multinomial(logits.softmax(dim=1), 1, generator=stream)[:, 0])


CLASSES = make("classification", FieldSpec("class", 3, ("a", "b", "c")))
WISH = Wish({}, 0.9)


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_a_planted_temperature_is_found_and_removes_the_calibration_error(factor):
    found = calibrate({CLASSES.name: CLASSES}, {CLASSES.name: classes(4000, factor)}, WISH)[CLASSES.name]
    assert found.temperature == pytest.approx(factor, rel=0.06)
    check = checked(CLASSES, classes(4000, factor, seed=1), found)
    assert check["ece_calibrated"] < 0.03
    if factor != 1.0:
        assert check["ece"] > 0.08
        assert check["log_loss_calibrated"] < check["log_loss"]
    assert check["accuracy"] == check["accuracy_calibrated"]
    assert check["coverage"] == pytest.approx(0.9, abs=0.02)


@pytest.mark.parametrize("kind", ["binary", "ordinal", "multilabel"])
def test_other_kinds_have_their_temperatures_too(kind):
    task = make(kind)
    stream = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(3000, task.num_outputs, generator=stream)
    probabilities = task.probabilities(logits)
    if kind == "multilabel":
        target = torch.bernoulli(probabilities, generator=stream)
    else:
        target = torch.multinomial(probabilities, 1, generator=stream)[:, 0]
        assert probabilities.sum(dim=1).tolist() == pytest.approx([1.0] * 3000, rel=1e-5)
    assert best_temperature(task, LabelledOutputs(2.5 * logits, target)) == pytest.approx(2.5, rel=0.08)


def test_the_calibration_error_of_a_hand_case():
    confidence, right = np.array([0.95, 0.96, 0.55, 0.56]), np.array([1, 0, 1, 1])
    assert calibration_error(confidence, right) == pytest.approx((abs(1.91 - 1) + abs(1.11 - 2)) / 4)


def test_thresholds_are_those_of_a_search_through_all():
    stream = np.random.default_rng(0)
    probability = stream.random(60).round(2)
    truth = (stream.random(60) < probability**2).astype(int)
    for metric in ("f1", "accuracy"):
        best = max(score((probability > cut).astype(int), truth, 2, metric) for cut in np.linspace(-0.005, 1, 202))
        found = best_cut(probability, truth, metric)
        assert score((probability > found).astype(int), truth, 2, metric) == best


def test_weights_of_classes_help_a_rare_class_and_never_harm_on_the_rows_at_hand():
    stream = np.random.default_rng(1)
    truth = stream.choice(3, p=[0.8, 0.15, 0.05], size=600)
    logits = np.log([0.8, 0.15, 0.05]) + stream.normal(size=(600, 3)) + 1.2 * np.eye(3)[truth]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    before = score(probabilities.argmax(axis=1), truth, 3, "f1")
    weights = np.array(best_weights(probabilities, truth, "f1"))
    assert score((probabilities * weights).argmax(axis=1), truth, 3, "f1") > before + 0.03
    assert weights[2] > weights[0]


def test_costs_choose_the_class_of_the_lowest_expected_cost():
    costs = [[0, 1, 1], [9, 0, 1], [1, 1, 0]]
    wish = Wish.read({"calibrate": True, "thresholds": costs})
    told = classes(200, 1.0)
    found = calibrate({CLASSES.name: CLASSES}, {CLASSES.name: told}, wish)[CLASSES.name]
    probabilities = CLASSES.probabilities(told.outputs / found.temperature)
    expected = probabilities @ torch.tensor(costs, dtype=torch.float32)
    assert found.decided(probabilities).tolist() == expected.argmin(dim=1).tolist()


def test_sets_and_intervals_cover_new_rows_as_often_as_they_say_on_average():
    stream = np.random.default_rng(0)
    inside = []
    for _ in range(300):
        of_truth = stream.random(60)
        inside.append((stream.random(200) >= lowest_in_set(of_truth, 0.9)).mean())
    assert np.mean(inside) == pytest.approx(55 / 61, abs=0.012)  # ⌈61 · 0.9⌉ / 61
    number = make("regression", FieldSpec("real", mean=(0.0,), std=(2.0,)))
    told = LabelledOutputs(torch.zeros(999, 1), torch.randn(999))
    assert margins(number, told, 0.9)[0] == pytest.approx(1.645, abs=0.12)


def test_with_too_few_rows_every_class_is_in_the_set_and_there_are_no_intervals():
    assert lowest_in_set(np.array([0.9] * 8), 0.9) == 0.0
    number = make("regression", FieldSpec("real", mean=(0.0,), std=(2.0,)))
    assert margins(number, LabelledOutputs(torch.zeros(8, 1), torch.ones(8)), 0.9) is None


def test_columns_follow_the_calibration():
    found = Calibration(2.0, decision=((0.1, 0, 0), (0, 1.0, 0), (0, 0, 1.0)), lowest=0.2, coverage=0.9)
    outputs = torch.tensor([[2.0, 1.0, -4.0]])
    columns = found.columns(CLASSES, outputs)
    name, probabilities = CLASSES.name, (outputs / 2).softmax(dim=1)[0].tolist()
    assert columns[f"{name}_prediction"].decoded().tolist() == ["b"]
    assert [float(columns[f"{name}_probability_{k}"].numbers) for k in "abc"] == pytest.approx(probabilities)
    assert [int(columns[f"{name}_set_{k}"].numbers) for k in "abc"] == [1, 1, 0]
    number = make("count", FieldSpec("count", mean=(1.0,)))
    interval = Calibration(margins=(3.0,), coverage=0.9).columns(number, torch.zeros(1, 1))
    assert float(interval[f"{number.name}_low"].numbers) == 0.0
    assert float(interval[f"{number.name}_high"].numbers) == 4.0


def test_a_calibration_comes_back_from_plain_data():
    found = Calibration(2.0, ((1.0, 0.0), (0.0, 2.0)), None, 0.2, None, 0.9)
    assert Calibration.of(found.state()) == found
    assert isinstance(found.state()["decision"][0], list)


@pytest.mark.parametrize(
    "state", [{"temperature": 0.0}, {"temperature": "a"}, {"decision": [["x"]]}, {"other": 1}, {"margins": 3}]
)
def test_other_data_is_not_a_calibration(state):
    with pytest.raises(ValueError, match="Calibration"):
        Calibration.of(state)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ({"calibrate": 3}, "true or false"),
        ({"thresholds": "f1"}, "with calibrate=true"),
        ({"calibrate": True, "thresholds": "f2"}, "Use thresholds=accuracy"),
        ({"calibrate": True, "thresholds": [[0, 1]]}, "square"),
        ({"calibrate": True, "coverage": 1.0}, "below 1"),
    ],
)
def test_words_that_ask_for_nothing_are_refused(words, told):
    with pytest.raises(UserError, match=told):
        Wish.read(words)


SURVIVAL = make("survival")


def lives(rows, seed=0):
    """Return risks and times with the hazard 0.2·exp(risk), a part of them cut off."""
    stream = np.random.default_rng(seed)
    risks = stream.normal(size=rows)
    time = stream.exponential(1 / (0.2 * np.exp(risks)))
    cut = stream.exponential(12, rows)
    target = np.stack([np.minimum(time, cut), time <= cut], axis=1)
    return LabelledOutputs(torch.tensor(risks[:, None], dtype=torch.float32), torch.tensor(target, dtype=torch.float32))


def test_without_a_risk_the_baseline_is_the_estimate_of_nelson_and_aalen():
    target = np.array([[1.0, 1], [2.0, 0], [2.0, 1], [2.0, 1], [5.0, 1]])
    found = survival(np.zeros(5), target)
    assert found.times == (2.0,)
    assert found.hazards == pytest.approx((1 / 5 + 2 / 4,))


def test_a_planted_hazard_gives_its_survival_curves():
    fitted, new = lives(6000), lives(4000, seed=1)
    found = calibrate({SURVIVAL.name: SURVIVAL}, {SURVIVAL.name: fitted}, WISH)[SURVIVAL.name]
    assert len(found.times) == 3
    assert found.hazards == pytest.approx([0.2 * time for time in found.times], rel=0.06)
    assert checked(SURVIVAL, new, found)["survival_error"] < 0.02
    columns = found.columns(SURVIVAL, new.outputs)
    time = found.times[1]
    truth = torch.exp(-0.2 * time * new.outputs[:, 0].exp())
    assert (columns[f"t_survival_{time:g}"].numbers - truth).abs().max() < 0.03
    assert Calibration.of(found.state()) == found


def test_without_an_event_there_is_no_curve():
    assert survival(np.zeros(3), np.array([[1.0, 0]] * 3)) == Calibration()


@pytest.mark.parametrize(("most", "step"), [(float("inf"), 1), (40_000, 2), (10_000, 8)])
def test_of_many_rows_every_second_fourth_or_eighth_is_kept(most, step):
    rows, kept = torch.arange(3 * JOINED * 7), Kept(most)
    for part in rows.split(7):
        kept.add(part.float()[:, None], part.float())
    told = kept.joined()
    whole = [float(row) for row in rows if row % step == 0]
    assert told.outputs[:, 0].tolist() == told.target.tolist() == whole
