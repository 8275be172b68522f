import pytest

from mtl_cli.answers.settings import natural, setting_names, settings_of
from tests.answers._runs import run


def names(*runs):
    return [setting.name for setting in settings_of(runs)[0]]


def test_runs_that_differ_in_seed_and_fold_are_one_setting():
    runs = [run({}, seed=seed, folds=2, fold=fold) for seed in (1, 0) for fold in (0, 1)]
    (setting,), notes = settings_of(runs)
    assert setting.name == "all runs"
    assert [(unit.seed, unit.fold) for unit in setting.runs] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert (setting.folds, notes) == (2, [])


def test_inner_folds_are_repetitions_like_folds():
    runs = [run({}, data__inner_folds=3, data__inner_fold=fold) for fold in (0, 1, 2)]
    (setting,), notes = settings_of(runs)
    assert setting.name == "all runs"
    assert [unit.fold for unit in setting.runs] == [0, 1, 2]
    assert (setting.folds, notes) == (3, [])
    both = [run({}, folds=2, fold=k // 3, data__inner_folds=3, data__inner_fold=k % 3) for k in range(6)]
    assert [unit.fold for unit in settings_of(both)[0][0].runs] == list(range(6))


def test_settings_are_named_by_what_sets_them_apart():
    assert names(run({}), run({}, sharing="independent")) == ["sharing=hard", "sharing=independent"]
    assert names(*(run({}, tasks__a__weight=weight) for weight in (10, 2))) == [
        "tasks.a.weight=2", "tasks.a.weight=10",
    ]  # fmt: skip
    assert names(run({}, tasks=("a",)), run({}, tasks=("a", "b"))) == ["task=a", "task=a+b"]


def test_options_of_a_component_are_named_only_where_they_set_its_settings_apart():
    runs = [run({}), *(run({}, sharing="mmoe", sharing__experts=n) for n in (2, 3))]
    assert names(*runs) == ["sharing=hard", "sharing=mmoe sharing.experts=2", "sharing=mmoe sharing.experts=3"]
    runs = [run({}), run({}, sharing="mmoe", sharing__experts=2)]
    assert names(*runs) == ["sharing=hard", "sharing=mmoe"]


def test_what_does_not_change_results_makes_no_setting():
    assert names(run({}), run({}, seed=1, quiet=True, save__every=3, tasks__a__dataset__cache_dir="x")) == ["all runs"]


def test_runs_that_are_not_complete_or_come_twice_are_told():
    _, notes = settings_of([run({}), run({}, path="again"), run({}, status="failed", path="bad")])
    assert notes == [
        "bad is left out: it is failed.",
        "again is left out: run has the same setting, seed and fold.",
    ]


def test_many_runs_that_are_not_complete_are_told_together():
    runs = [run({}), *(run({}, status="pruned", path=f"p{number}") for number in range(30))]
    assert settings_of(runs)[1] == ["30 runs are left out: they are pruned, such as p0."]


@pytest.mark.parametrize(("low", "high"), [("x=2", "x=10"), ("a", "b1"), ("lr=1e-3", "lr=0.1"), ("7", "a")])
def test_numbers_in_names_are_sorted_by_value(low, high):
    assert natural(low) < natural(high)


def test_long_words_lose_their_middle_so_that_all_that_sets_apart_is_seen():
    many = ["scenes_segmentation", "scenes_depth", "scenes_normals", "scenes_detection"]
    values = [{"trainer.max_steps": steps} for steps in ("100", "200", "100")]
    assert setting_names(values, [many, many, many[:1]]) == [
        "task=scenes_seg…_detection trainer.max_steps=100",
        "task=scenes_seg…_detection trainer.max_steps=200",
        "task=scenes_segmentation trainer.max_steps=100",
    ]


def test_weights_of_a_search_are_told_apart_by_their_values():
    keys = [f"tasks.{name}.weight" for name in ("fashion_mnist", "letters")]
    values = [dict(zip(keys, each, strict=True)) for each in (("0.5", "0.5"), ("0.370414", "0.629586"))]
    assert setting_names(values, [["fashion_mnist", "letters"]] * 2) == [
        "fashion_mnist.weight=0.5 letters.weight=0.5",
        "fashion_mnist.weight=0.370414 letters.weight=0.629586",
    ]


def test_a_name_ends_with_a_whole_word():
    keys = ("backbone.dropout", "optimizer.weight_decay", "optimizer.lr", "trainer.clip_norm")
    names = setting_names([dict.fromkeys(keys, value) for value in ("0.123456", "0.2")], [["a"]] * 2)
    assert names[0] == "backbone.dropout=0.123456 optimize…t_decay=0.123456 …"
    assert names[1].split(" ")[1] == "optimizer.weight_decay=0.2"
