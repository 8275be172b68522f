import math
from typing import ClassVar

from mtl_cli.metrics.base import MetricInfo
from mtl_cli.training.group_means import to_show, with_group_means
from mtl_cli.training.meters import Result

NAN = float("nan")


def result(loss, count=4, **metrics):
    return Result(loss, metrics, None, count)


def test_a_group_has_the_mean_of_its_tasks_after_them():
    results = {
        "a": result(1.0, auc=0.5, f1=0.25),
        "b": result(3.0, 6, auc=0.75, f1=0.75),
        "alone": result(9.0, auc=0.0),
    }
    found = with_group_means(results, {"group": ["a", "b"]})
    assert list(found) == ["a", "b", "alone", "group"]
    assert found["group"] == Result(2.0, {"auc": 0.625, "f1": 0.5}, None, 10)
    assert {name: found[name] for name in results} == results


def test_what_is_not_defined_is_left_out_of_the_mean():
    results = {"a": result(1.0, auc=NAN), "b": result(NAN, 0, auc=0.75), "c": result(2.0, auc=0.25)}
    found = with_group_means(results, {"group": ["a", "b", "c"]})["group"]
    assert (found.loss, found.metrics["auc"]) == (1.5, 0.5)
    nothing = with_group_means({"a": result(NAN, 0, auc=NAN)}, {"group": ["a"]})["group"]
    assert math.isnan(nothing.loss)
    assert math.isnan(nothing.metrics["auc"])


def test_tasks_of_different_metrics_are_averaged_over_those_that_have_each():
    results = {"a": result(1.0, auc=0.5), "b": result(1.0, auc=1.0, f1=0.25)}
    assert with_group_means(results, {"g": ["a", "b"]})["g"].metrics == {"auc": 0.75, "f1": 0.25}


def test_a_split_without_a_task_of_the_group_has_no_such_row_in_the_mean():
    assert with_group_means({"a": result(1.0, auc=0.5)}, {"g": ["a", "elsewhere"]})["g"].metrics == {"auc": 0.5}


def test_of_a_large_group_only_the_mean_is_shown():
    tasks = [f"t{number}" for number in range(25)]
    results = with_group_means({name: result(1.0, auc=0.5) for name in [*tasks, "alone"]}, {"g": tasks})
    assert list(to_show(results, {"g": tasks})) == ["alone", "g"]
    assert to_show(results, {"g": tasks[:24]}) == results


class Scored:
    """What is asked of a task: its primary metric, and how that is read."""

    primary = "auc"
    metric_info: ClassVar = {"auc": MetricInfo()}


class Measured:
    primary = "rmse"
    metric_info: ClassVar = {"rmse": MetricInfo(lower_is_better=True)}


def test_of_many_tasks_the_best_and_the_worst_are_shown_beside_the_mean():
    names = [f"t{number}" for number in range(30)]
    results = {name: result(0.0, auc=NAN if number == 7 else 0.01 * number) for number, name in enumerate(names)}
    errors = {name: Result(0.0, {"rmse": each.metrics["auc"]}, None, 4) for name, each in results.items()}
    grouped = with_group_means(results, {"g": names})
    found = to_show(grouped, {"g": names}, dict.fromkeys(names, Scored))
    assert list(found) == ["g", "best: t29", "worst: t0"]
    assert found["best: t29"] is results["t29"]
    found = to_show(errors, {}, dict.fromkeys(names, Measured))
    assert list(found) == ["30 tasks", "best: t0", "worst: t29"]
