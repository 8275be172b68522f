import numpy as np
import pytest

from mtl_cli.answers.comparison import BETTER, SAME, UNKNOWN, WORSE
from mtl_cli.answers.verdict import judge
from mtl_cli.answers.words import UNREPEATED, console_text, sentence, sentences, verdict_of
from mtl_cli.errors import UserError
from tests.answers._runs import run

ROWS = 300


def sweep(rng, seeds, shift=0.0, names=("hard", "mmoe", "independent")):
    """A sweep of three settings whose metrics come of one distribution, but for `shift` in the first one's accuracy."""
    runs = []
    for seed in range(seeds):
        luck = rng.normal(0, 0.01, 2)  # of a seed, which all settings share
        for name in names:
            skill = np.clip(0.85 + luck + rng.normal(0, 0.01, 2) + (shift if name == "hard" else 0), 0, 1)
            right = rng.binomial(ROWS, skill) / ROWS
            metrics = {"a/accuracy": right[0], "b/accuracy": right[1], "b/rmse": 2 - right[1] + rng.normal(0, 0.02)}
            runs.append(run(metrics, lower=("b/rmse",), sharing=name, seed=seed))
    return judge(runs)


def words(verdict):
    return {
        each.word
        for answer in verdict.answers
        for each in [*([answer.gain] if answer.gain else []), *answer.metrics]
    }  # fmt: skip


@pytest.mark.parametrize(
    "seeds", [3, pytest.param(5, marks=pytest.mark.slow), pytest.param(10, marks=pytest.mark.slow)]
)
def test_of_200_sweeps_without_a_difference_at_most_8_percent_say_better_or_worse(seeds):
    """Two names for one setting, eight comparisons in each sweep; the rule is made for 5 % of wrong sweeps."""
    rng = np.random.default_rng(seeds)
    wrong = sum(bool(words(sweep(rng, seeds)) & {BETTER, WORSE}) for _ in range(200))
    assert wrong <= 0.08 * 200


def test_a_planted_difference_is_found_and_in_its_direction():
    """5 points of accuracy at a standard deviation of 2.3 of the differences: 5 seeds find Δm in most sweeps."""
    rng = np.random.default_rng(0)
    found = [next(a for a in sweep(rng, 5, shift).answers if "hard" in a.setting.name) for shift in [0.06] * 40]
    assert sum(answer.gain.word == BETTER for answer in found) >= 30
    assert not any(answer.gain.word == WORSE for answer in found)
    lost = [next(a for a in sweep(rng, 5, -0.06).answers if "hard" in a.setting.name) for _ in range(40)]
    assert sum(answer.gain.word == WORSE for answer in lost) >= 30


def pair(own, base, **knobs):
    """The answer on one setting with some accuracies by seed against a baseline."""
    runs = [run({"a/accuracy": value}, seed=seed, tasks=("a",), **knobs) for seed, value in enumerate(own)]
    runs += [
        run({"a/accuracy": value}, seed=seed, tasks=("a",), sharing="independent") for seed, value in enumerate(base)
    ]
    return next(answer for answer in judge(runs).answers if answer.baseline)


def test_the_difference_is_paired_by_seed():
    answer = pair([0.6, 0.7, 0.8], [0.5, 0.6, 0.7001])
    (metric,) = answer.metrics
    assert metric.difference.mean == pytest.approx(0.1, abs=1e-4)
    assert metric.difference.deviation < 1e-3 < metric.own.deviation
    assert verdict_of(metric) == "better"
    assert sentence(answer, "seeds").startswith("sharing=hard: better than sharing=independent; Δm +16.66 %")


def test_lower_errors_are_better():
    runs = [
        run({"a/rmse": value + seed / 1000}, seed=seed, sharing=name, lower=("a/rmse",))
        for name, value in (("hard", 1.0), ("independent", 2.0))
        for seed in range(4)
    ]
    answer = judge(runs).answers[0]
    assert (answer.metrics[0].word, answer.gain.word) == (BETTER, BETTER)
    assert answer.metrics[0].difference.mean == pytest.approx(-1)
    assert answer.gain.difference.mean == pytest.approx(50, abs=0.1)


def test_small_differences_are_none_and_few_seeds_cannot_tell():
    same = pair([0.8001, 0.7999, 0.8, 0.8001, 0.8], [0.8, 0.8, 0.8001, 0.8, 0.8]).metrics[0]
    assert same.word == SAME
    assert verdict_of(same).startswith("no difference larger than 0.000")
    far = pair([0.80, 0.85, 0.78], [0.79, 0.79, 0.82]).metrics[0]
    assert far.word == UNKNOWN
    assert verdict_of(far) == f"cannot tell: run {far.more} more seeds"
    assert verdict_of(pair([0.9], [0.8]).gain) == "cannot tell: run 2 more seeds"
    exact = pair([0.8, 0.7], [0.8, 0.7]).gain
    assert verdict_of(exact) == "no difference larger than 0.00 %"


def test_validation_data_decide_only_where_a_run_has_no_test_metrics():
    runs = [
        run({} if name == "hard" else {"a/accuracy": 0.1}, val={"a/accuracy": value}, sharing=name, seed=seed)
        for name, value in (("hard", 0.9), ("independent", 0.8))
        for seed in (0, 1)
    ]
    verdict = judge(runs)
    assert verdict.split == "val"
    assert verdict.answers[0].metrics[0].own.mean == 0.9
    assert any("validation data" in note for note in verdict.notes)


@pytest.mark.parametrize(
    ("knobs", "told"),
    [
        ({"digest": "other"}, "other data: what a reads as path holds something else"),
        ({"rows": 91}, "other split: a has 91 val rows, not 90"),
        ({"tasks__a__dataset__split_seed": 1}, "other split: a.split_seed is 1, not 0"),
    ],
)
def test_other_data_and_splits_are_refused(knobs, told):
    answer = pair([0.9, 0.91], [0.5, 0.51], **knobs)
    assert told in answer.refused
    assert (answer.gain, answer.metrics[0].difference) == (None, None)
    assert "is not compared with" in sentence(answer, "seeds")


def test_runs_of_one_setting_on_different_data_are_refused():
    runs = [
        run({"a/x": 0.5}, seed=seed, digest=f"{seed}", sharing=s) for seed in (0, 1) for s in ("hard", "independent")
    ]
    assert "different data" in judge(runs).answers[0].refused[0]


def test_other_budgets_are_marked():
    answer = pair([0.9, 0.91, 0.92], [0.5, 0.51, 0.52], trainer__max_epochs=2)
    assert answer.marked == ("other budget: trainer.max_epochs is 2, not 1",)
    assert answer.gain.word == BETTER


def test_a_metric_that_some_runs_lack_is_told_and_compared_on_the_others():
    runs = [
        run({"a/x": 0.5 + seed / 100, **({"a/y": 0.5} if seed != 1 or name != "hard" else {})}, seed=seed, sharing=name)
        for seed in range(3)
        for name in ("hard", "independent")
    ]
    verdict = judge(runs)
    assert verdict.notes == ("sharing=hard: 1 of 3 runs lack a/y, such as run.",)
    assert [each.difference.n for each in verdict.answers[0].metrics] == [3, 2]
    assert verdict.answers[0].gain.difference.n == 2


def test_seeds_without_a_partner_are_left_out_and_told():
    answer = pair([0.5, 0.6, 0.7], [0.5, 0.6])
    assert answer.gain.difference.n == 2
    assert answer.marked == ("1 of 3 runs have no partner of the same seed and fold",)


def test_folds_are_repetitions():
    runs = [
        run({"a/x": 0.8 + fold / 10 - (name == "hard") * 0.1}, sharing=name, folds=3, fold=fold)
        for fold in range(3)
        for name in ("hard", "independent")
    ]
    verdict = judge(runs)
    assert verdict.over == "folds"
    assert verdict.answers[0].gain.difference.n == 3


def test_nothing_to_compare_is_an_error_or_means_alone():
    with pytest.raises(UserError, match="None of the runs is complete"):
        judge([run({}, status="failed")])
    verdict = judge([run({"a/x": 0.5}, seed=seed) for seed in (0, 1)])
    text = console_text(verdict, 80)
    assert text.startswith("means over seeds on test data")
    assert "verdict" not in text


def test_the_text_is_within_the_width_and_short_for_many_metrics():
    metrics = {f"{task}/accuracy": 0.5 for task in "abcdefghijklmnopqrstuvwxyz"}
    runs = [run(metrics, seed=seed, sharing=name, tasks=tuple("abcdefghijklmnopqrstuvwxyz"))
            for seed in (0, 1) for name in ("hard", "mmoe", "independent")]  # fmt: skip
    for width in (60, 80, 120):
        text = console_text(judge(runs), width)
        assert max(map(len, text.splitlines())) <= width
        assert len(text.splitlines()) < 15


def test_one_run_of_each_setting_is_a_table_without_a_verdict():
    runs = [run({"a/x": value}, sharing=name) for name, value in (("hard", 0.5), ("mmoe", 0.6), ("independent", 0.55))]
    verdict = judge(runs)
    text = console_text(verdict, 80)
    assert [line.split()[0] for line in text.splitlines()[3:6]] == [
        "sharing=mmoe", "sharing=independent", "sharing=hard",
    ]  # fmt: skip
    assert "+9.09 %" in text
    assert UNREPEATED in " ".join(text.split())
    assert "cannot tell" not in text
    assert [text for _, text in sentences(verdict)] == [UNREPEATED]
