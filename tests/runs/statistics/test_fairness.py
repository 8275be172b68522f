"""mtl-eval by groups of rows: equal to hand-made tables, and the planted worst group is found."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from mtl_cli import cli
from mtl_cli.errors import UserError
from mtl_cli.runs.statistics.row_groups import bands_of, groups_of, row_groups
from mtl_cli.tables.whole_column import column_of_values

USUAL = ["trainer.max_epochs=12", "data.batch_size=32", "optimizer.lr=0.02", "backbone=mlp", "backbone.hidden=[8]"]
PLAIN = ["trainer.device=cpu", "trainer.precision=fp32", "quiet=true"]


def write(path, rows=600, planted=True):
    """Write a table in which `sick` follows from x, but for two thirds of the women, where it is a coin."""
    stream = np.random.default_rng(0)
    x, female = stream.normal(size=rows), stream.random(rows) < 0.5
    sick = x > 0
    blurred = female if planted else stream.random(rows) < 0.5
    coin = blurred & (stream.random(rows) < 0.67)
    sick = np.where(coin, stream.random(rows) < 0.5, sick)
    age = stream.integers(20, 90, size=rows)
    cost = 3 * x + stream.normal(size=rows) * np.where(female, 2.0, 0.1)
    lines = ["x,sex,age,ward,sick,cost"]
    for k in range(rows):
        sex = "" if k % 97 == 0 else "fm"[int(~female[k])]
        lines.append(f"{x[k]:.4f},{sex},{age[k]},w{k % 3},{'ny'[int(sick[k])]},{cost[k]:.3f}")
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module", params=[True, False], ids=["planted", "not planted"])
def run(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write(Path("data.csv"), planted=request.param)
        assert cli.main_init(["input=data.csv", "target=[sick,cost]", "output=conf", "drop=[sex,age,ward]"]) == 0
        words = ["--config-dir", "conf", "task=sick+cost", *USUAL, *PLAIN, "hydra.run.dir=run"]
        assert cli.main(words) == 0
        assert cli.main_eval(["checkpoint=run", "by=[sex,age]", "input=data.csv", "quiet=true"]) == 0
        assert cli.main_predict(["checkpoint=run", "input=data.csv", "output=predicted.csv", "quiet=true"]) == 0
        patch.undo()
    return folder, request.param


def found(folder):
    (out,) = (folder / "run" / "evaluations").iterdir()
    return out, json.loads((out / "groups.json").read_text())


def test_the_metrics_of_groups_are_those_of_a_hand_made_table(run):
    folder, _ = run
    _, record = found(folder)
    with (folder / "predicted.csv").open() as file:
        rows = list(csv.DictReader(file))
    by = {(each["by"], each["group"], each["task"], each["metric"]): each for each in record["groups"]}
    for sex in ("f", "m", ""):
        mine = [row for row in rows if row["sex"] == sex]
        right = np.mean([row["sick"] == row["sick_prediction"] for row in mine])
        error = np.mean([abs(float(row["cost"]) - float(row["cost_prediction"])) for row in mine])
        accuracy = by["sex", sex or "(missing)", "sick", "accuracy"]
        assert accuracy["rows"] == accuracy["labels"] == len(mine)
        assert accuracy["value"] == pytest.approx(right)
        assert by["sex", sex or "(missing)", "cost", "mae"]["value"] == pytest.approx(error, rel=1e-4)
        whole = np.mean([row["sick"] == row["sick_prediction"] for row in rows])
        assert accuracy["difference"] == pytest.approx(right - whole, abs=1e-6)
    ages = np.array([float(row["age"]) for row in rows])
    edges = np.quantile(ages, [0.25, 0.5, 0.75], method="inverted_cdf")
    old = [row for row, age in zip(rows, ages, strict=True) if age > edges[2]]
    oldest = by["age", f"> {edges[2]:g}", "sick", "accuracy"]
    assert oldest["value"] == pytest.approx(np.mean([row["sick"] == row["sick_prediction"] for row in old]))
    both = {group for grouping, group, _, _ in by if grouping == "sex × age"}
    assert f"f × > {edges[2]:g}" in both
    assert sum(each["rows"] for each in record["groups"] if each["by"] == "sex" and each["metric"] == "mae") == 600


def test_the_planted_worst_group_is_found_and_only_where_there_is_one(run):
    folder, planted = run
    out, record = found(folder)
    gap = next(each for each in record["gaps"] if (each["by"], each["metric"]) == ("sex × age", "accuracy"))
    assert gap["gap"] >= 0
    sexes = {each["group"]: each for each in record["groups"] if (each["by"], each["metric"]) == ("sex", "accuracy")}
    apart = sexes["f"]["high"] < sexes["m"]["low"]
    assert apart is planted
    if planted:
        assert "f" in gap["worst"]
        assert sexes["f"]["difference_high"] < 0 < sexes["m"]["difference_low"]
    with (out / "gaps.csv").open() as file:
        assert [row["gap"] for row in csv.DictReader(file)] == [str(each["gap"]) for each in record["gaps"]]


def test_the_metrics_of_all_rows_keep_their_keys_and_have_intervals_beside_them(run):
    out, _ = found(run[0])
    record = json.loads((out / "metrics.json").read_text())
    assert record["intervals"].keys() == record["metrics"].keys()
    assert record["bootstrap"]["drawn"]["sick"] == {"unit": "rows", "units": 600, "blocks": 600}
    for name in ("sick/auc", "cost/rmse"):
        low, high = record["intervals"][name]
        assert low < record["metrics"][name] < high


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("by=[gender]", "has no column 'gender'"),
        ("by=[x,x]", "each named once"),
        ("by=[]", "a list of columns"),
        ("bootstrap=3", "from 100 to 100000"),
    ],
)
def test_what_cannot_be_compared_is_refused(word, told, run, monkeypatch, capsys):
    monkeypatch.chdir(run[0])
    assert cli.main_eval(["checkpoint=run", word, "quiet=true"]) == 2
    assert told in capsys.readouterr().err


def test_groups_of_numbers_are_bands_and_of_few_numbers_each_one():
    numbers = column_of_values(np.arange(20), [str(k) for k in range(20)])
    codes, names = groups_of("n", numbers)
    assert names == ["≤ 4", "> 4 to 9", "> 9 to 14", "> 14"]
    assert np.bincount(codes).tolist() == [5, 5, 5, 5]
    few = column_of_values(np.array([0, 1, -1, 0]), ["10", "9"])
    assert groups_of("n", few)[1] == ["9", "10", "(missing)"]
    assert bands_of(np.array([0.0] * 90 + [1.0] * 20))[1] == ["≤ 0", "> 0"]


def test_a_column_of_many_texts_is_refused():
    column = column_of_values(np.arange(60), [f"p{k}" for k in range(60)])
    with pytest.raises(UserError, match="60 different values, such as 'p0'"):
        row_groups({"patient": column})
