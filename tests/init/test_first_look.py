"""mtl-init on files whose columns are known, from the command line to a run."""

import json
import random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from mtl_cli import cli
from mtl_cli.commands.compose import hydra_session, plain_config
from mtl_cli.init.first_look import target_columns
from mtl_cli.init.yaml_files import flow
from tests.tables._files import write_csv

HEADER = ["id", "age", "city", "note", "income", "married", "stars", "visits", "price", "days", "died", "copy", "user"]


def rows(count=200):
    stream = random.Random(0)
    body = []
    for index in range(count):
        income = stream.choice(["low", "mid", "high"])
        copy = {"low": 7, "mid": 8, "high": 9}[income]
        age = "?" if stream.random() < 0.1 else stream.randint(18, 90)
        city, married = stream.choice(["Rome", "Oslo"]), stream.choice(["yes", "no", ""])
        stars, visits = stream.randint(1, 5), stream.choice([0, 0, 1, 2, 9, 30])
        price, days, died = round(stream.random() * 100, 2), stream.randint(1, 900), stream.randint(0, 1)
        known = [index, age, city, f"text {index} {stream.random()}", income, married, stars, visits]
        body.append([*known, price, days, died, copy, f"u{index % 9}"])
    return body


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_csv(tmp_path / "data.csv", HEADER, rows())
    return tmp_path


def init(*words):
    return cli.main_init(["input=data.csv", "output=my_conf", *words])


def dataset(folder, name="data"):
    return yaml.safe_load((folder / "my_conf" / "dataset" / f"{name}.yaml").read_text())


def task(folder, name, file=None):
    return yaml.safe_load((folder / "my_conf" / "task" / f"{file or name}.yaml").read_text())["tasks"][name]


TARGET = "target=[income,married,stars,visits,price,days+died]"


def test_columns_are_guessed_with_reasons(folder, capsys):
    assert init(TARGET) == 0
    node, out = dataset(folder), capsys.readouterr().out
    names = ["income", "married", "stars", "visits", "price", "days_died"]
    tasks = {name: task(folder, name) for name in names}
    assert {name: node["_target_"].rpartition(".")[2] for name, node in tasks.items()} == {
        "income": "Ordinal", "married": "Binary", "stars": "Ordinal", "visits": "Count", "price": "Regression",
        "days_died": "Survival",
    }  # fmt: skip
    assert tasks["income"]["classes"] == ["low", "mid", "high"]
    assert tasks["married"]["classes"] == ["no", "yes"]
    assert tasks["stars"]["classes"] == ["1", "2", "3", "4", "5"]
    assert tasks["days_died"]["columns"] == ["days", "died"]
    assert "column" not in tasks["income"], "it has the target's name"
    assert "targets" not in node
    assert node["drop"] == ["id", "note", "copy", *names[:5], "days", "died"], "a target never becomes an input"
    assert node["stratify"] == "income", "the choice of tasks moves no row to another split"
    assert "?" in node["missing_values"]
    for line in (
        "data.csv: 200 rows, 13 columns (csv, utf-8, delimiter ',')",
        "stars: ordinal, because 5 whole numbers from 1 to 5: a scale. Metric: qwk",
        "drop copy: it says the same as the target income, so the answer would leak into the question",
        "drop id: it counts the rows",
        "drop note: nearly every row has a value of its own",
        "numeric: age",
        "categorical: city, user",
        "mtl-train --config-dir my_conf task=income+stars+married+visits+price+days_died backbone=tabm",
        "backbone.pieces=4: few rows, few bends",
    ):
        assert line in out
    counts = [row[4] for row in rows()]
    assert f"high {counts.count('high')} ({counts.count('high') / 200:.1%})" in out
    missing = [row[5] for row in rows()].count("")
    assert f"{missing} of 200 missing" in out


def test_what_is_written_composes_and_trains(folder, capsys):
    assert init(TARGET) == 0
    names = ["income", "married", "stars", "visits", "price", "days_died"]
    with hydra_session(folder / "my_conf") as session:
        config = plain_config(session.compose([f"task={'+'.join(names)}", "backbone=tabular"]))
    assert list(config["tasks"]) == names
    words = [f"task={'+'.join(names)}", "backbone=tabular", "trainer.max_steps=2", "trainer.max_epochs=1"]
    words += ["--config-dir", "my_conf", "hydra.run.dir=run", "trainer.device=cpu", "quiet=true"]
    code = cli.main(words)
    assert code == 0, capsys.readouterr().err
    assert (folder / "run" / "summary.json").is_file()


def test_several_columns_make_one_target(folder):
    assert init("target=[died+married,price+days,died+user]") == 0
    kinds = {"died_married": "Multilabel", "price_days": "Regression", "died_user": "Ranking"}
    for name, kind in kinds.items():
        assert task(folder, name)["_target_"].endswith(f".{kind}")
        assert task(folder, name)["columns"] == name.split("_")


def write_assays(folder, count):
    stream = random.Random(0)
    cells = [[stream.choice([0, 1, 1, ""]) for _ in range(count)] for _ in range(80)]
    body = [[stream.random(), *row, stream.choice(["low", "high", "mid"])] for row in cells]
    write_csv(folder / "data.csv", ["dose", *(f"NR-{number}" for number in range(count)), "risk"], body)
    return f"target=[{','.join(f'NR-{number}' for number in range(count))},risk]"


def test_many_targets_of_one_kind_are_one_node_that_trains_by_the_printed_command(folder, capsys):
    assert init(write_assays(folder, 8)) == 0
    out = capsys.readouterr().out
    assert sorted(path.name for path in (folder / "my_conf" / "task").iterdir()) == ["data_binary.yaml", "risk.yaml"]
    node = task(folder, "data_binary")
    assert node["targets"] == {f"NR_{number}": {"column": f"NR-{number}"} for number in range(8)}
    assert node["classes"] == ["0", "1"], "what all targets have in common stands once"
    command = next(line for line in out.splitlines() if line.strip().startswith("mtl-train"))
    words = command.split()[1:]
    assert "task=data_binary+risk" in words
    quick = ["trainer.max_epochs=1", "hydra.run.dir=run", "trainer.device=cpu", "quiet=true"]
    assert cli.main([word for word in words if not word.startswith("trainer.")] + quick) == 0, capsys.readouterr().err
    test = json.loads((folder / "run" / "summary.json").read_text())["test"]
    assert {"NR_0/auc", "NR_7/auc", "data_binary/auc", "risk/accuracy"} <= set(test)


def test_fewer_targets_of_one_kind_have_files_of_their_own(folder):
    assert init(write_assays(folder, 7)) == 0
    names = [path.stem for path in sorted((folder / "my_conf" / "task").iterdir())]
    assert names == [*(f"NR_{number}" for number in range(7)), "risk"]
    assert task(folder, "NR_3")["column"] == "NR-3"


def test_a_group_is_not_named_as_one_of_its_targets(folder):
    target = write_assays(folder, 8)
    text = (folder / "data.csv").read_text()
    (folder / "data.csv").write_text(text.replace("NR-0,", "data_binary,", 1))
    assert init(target.replace("NR-0,", "data_binary,")) == 0
    assert "data_binary" in task(folder, "data_binary_2")["targets"]


def test_files_are_never_overwritten_silently(folder, capsys):
    assert init("target=income") == 0
    before = (folder / "my_conf" / "task" / "income.yaml").read_text()
    assert init("target=income") == 0  # the same content again
    (folder / "my_conf" / "task" / "income.yaml").write_text(before + "# mine\n")
    assert init("target=income") == 2
    assert "my_conf/task/income.yaml would be overwritten" in capsys.readouterr().err
    assert (folder / "my_conf" / "task" / "income.yaml").read_text() == before + "# mine\n"
    assert init("target=income", "overwrite=true") == 0
    assert (folder / "my_conf" / "task" / "income.yaml").read_text() == before


def test_delimiter_encoding_and_format_are_found(folder, capsys):
    header, body = (
        ["größe", "ort name", "ziel"],
        [[index / 3, "Köln" if index % 2 else "Bonn", index % 2] for index in range(40)],
    )
    write_csv(folder / "data.csv", header, body, delimiter=";", encoding="latin-1")
    assert init("target=ziel") == 0
    assert dataset(folder)["delimiter"] == ";"
    assert dataset(folder)["encoding"] == "latin-1"
    assert dataset(folder)["drop"] == ["ort name", "ziel"]  # the first names the target
    table = {"x": np.arange(40.0), "y": ["a", "b"] * 20}
    pq.write_table(pa.table(table), folder / "letters.parquet")
    assert cli.main_init(["input=letters.parquet", "target=y", "output=other"]) == 0
    assert (folder / "other" / "dataset" / "letters_data.yaml").is_file()  # `letters` is the package's own


def test_imbalance_is_pointed_out(folder, capsys):
    write_csv(
        folder / "data.csv", ["x", "y"], [[index, "rare" if index % 50 == 0 else "usual"] for index in range(500)]
    )
    assert init("target=y") == 0
    assert "the most frequent class is 49 times the rarest" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ([], "the columns to predict. data.csv has "),
        (["target=incme"], "has no column 'incme'. Did you mean 'income'?"),
        (["target=income", "ovrwrite=true"], "no option ovrwrite=True. Did you mean 'overwrite'?"),
        (["target=[income,income]"], "has 'income' twice"),
        (["target=income+price"], "do not go together"),
        (["target=died+price"], "names no group. If it is a time: target=[price+died]"),
        (["target=income", "group=nobody"], "has no column 'nobody'"),
        (["target=income", "format=xml"], "format is 'xml'"),
        (["target=income", "--multirun"], "no option --multirun"),
    ],
)
def test_faults_end_with_code_2_and_write_nothing(folder, capsys, words, problem):
    assert init(*words) == 2
    assert problem in capsys.readouterr().err
    assert not (folder / "my_conf").exists()


def test_files_that_are_missing_or_empty_are_named(folder, capsys):
    assert cli.main_init(["input=gone.csv", "target=y", "output=my_conf"]) == 2
    assert "No input at gone.csv" in capsys.readouterr().err
    assert cli.main_init(["target=y", "output=my_conf"]) == 2
    assert "needs input=" in capsys.readouterr().err
    write_csv(folder / "data.csv", ["x", "y"], [[index, ""] for index in range(30)])
    assert init("target=y") == 2
    assert "column 'y' has no label in any row" in capsys.readouterr().err
    write_csv(folder / "data.csv", ["x", "y"], [[index, 1] for index in range(30)])
    assert init("target=y") == 2
    assert "has the label '1' in every row" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text", ["plain", "two words", "no", "1", "a: b", "ü", '"', "a#b", "", "null", "- x", "50%", "1e5", "<=50K"]
)
def test_names_are_read_back_as_they_are(text):
    assert yaml.safe_load(f"[{flow(text)}]") == [text]


def test_help_and_version_read_nothing(capsys):
    assert cli.main_init(["--help"]) == 0
    assert "mtl-init input=FILE" in capsys.readouterr().out
    assert cli.main_init(["--version"]) == 0


def test_names_of_targets_are_those_of_their_columns_where_hydra_can_hold_them():
    found = target_columns(["NR_AR", "Nr_Ar", "days+Died", "情感", "no-dash"])
    assert list(found) == ["NR_AR", "Nr_Ar_2", "days_Died", "target", "no_dash"]
