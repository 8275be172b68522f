import pytest

from mtl_cli.answers.verdict import judge
from mtl_cli.errors import UserError
from tests.answers._runs import run, write


def grid(**knobs):
    return [
        run({"a/x": 0.5, "b/x": 0.5}, sharing=name, seed=seed, optimizer__lr=lr, **knobs)
        for name in ("hard", "independent")
        for lr in (0.1, 0.2)
        for seed in (0, 1)
    ]


def by_name(verdict):
    return {each.setting.name: each.baseline.name if each.baseline else None for each in verdict.answers}


def test_each_setting_is_compared_with_the_independent_one_that_agrees_most():
    assert by_name(judge(grid())) == {
        "sharing=hard optimizer.lr=0.1": "sharing=independent optimizer.lr=0.1",
        "sharing=hard optimizer.lr=0.2": "sharing=independent optimizer.lr=0.2",
        "sharing=independent optimizer.lr=0.1": None,
        "sharing=independent optimizer.lr=0.2": None,
    }


@pytest.mark.parametrize("name", ["sharing=hard", "hard"])
def test_a_setting_is_named_by_a_value(name):
    assert by_name(judge(grid(), name))["sharing=independent optimizer.lr=0.2"] == "sharing=hard optimizer.lr=0.2"


def test_what_names_no_setting_or_all_is_refused():
    with pytest.raises(UserError, match="neither a directory nor one of the settings: sharing=hard optimizer"):
        judge(grid(), "mmoe")
    with pytest.raises(UserError, match="fits all 2 settings"):
        judge(grid()[4:], "independent")


def test_each_task_alone_takes_the_place_of_independent():
    alone = [run({f"{task}/x": 0.5}, tasks=(task,), seed=seed) for task in "ab" for seed in (0, 1)]
    joint = [run({"a/x": 0.6, "b/x": 0.5}, seed=seed) for seed in (0, 1)]
    verdict = judge([*alone, *joint])
    assert by_name(verdict) == {"task=a": None, "task=a+b": "each task alone", "task=b": None}
    (answer,) = [each for each in verdict.answers if each.baseline]
    assert answer.gain.difference.mean == pytest.approx(10)


def test_without_both_a_usual_setting_is_the_baseline():
    verdict = judge([run({"a/x": 0.5}, sharing=name, seed=seed) for name in ("cgc", "hard") for seed in (0, 1)])
    assert by_name(verdict) == {"sharing=cgc": "sharing=hard", "sharing=hard": None}
    assert "so the baseline is sharing=hard" in verdict.notes[0]


def test_a_directory_of_runs_is_a_baseline(tmp_path):
    for task in "ab":
        for seed in (0, 1):
            write(tmp_path / "alone" / f"{task}{seed}", {f"{task}/x": 0.5}, tasks=(task,), seed=seed)
    joint = [run({"a/x": 0.6, "b/x": 0.5}, seed=seed) for seed in (0, 1)]
    (answer,) = judge(joint, str(tmp_path / "alone")).answers
    assert (answer.baseline.name, answer.gain.difference.mean) == ("alone", pytest.approx(10))
    write(tmp_path / "alone" / "more", {"a/x": 0.5}, tasks=("a",), optimizer__lr=3)
    with pytest.raises(UserError, match="holds 3 settings of the same tasks"):
        judge(joint, str(tmp_path / "alone"))
