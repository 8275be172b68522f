"""mtl-predict: rows of a file beside the predictions of a trained run."""

import csv
import json
import os

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from mtl_cli import cli
from mtl_cli.errors import RunFailure, UserError
from mtl_cli.runs import evaluation, run
from mtl_cli.runs.predict import predict
from mtl_cli.tables.writing import TableWriter
from tests import _toy
from tests.tables._files import defaults, write_csv

HEADER = ["age", "job", "married", "level", "wage", "kids", "days", "dead", "click", "user", "note"]
TARGETS = {
    "married": {"kind": "binary", "column": "married"},
    "level": {"kind": "ordinal", "column": "level"},
    "wage": {"kind": "real", "column": "wage"},
    "kids": {"kind": "count", "column": "kids"},
    "outcome": {"kind": "survival", "columns": ["days", "dead"]},
    "click": {"kind": "ranking", "columns": ["click", "user"]},
}
KINDS = {
    "married": ("binary.Binary", {"label_smoothing": 0.0, "class_weights": None, "focal_gamma": 0.0}),
    "level": ("ordinal.Ordinal", {}),
    "wage": ("regression.Regression", {}),
    "kids": ("count.Count", {}),
    "outcome": ("survival.Survival", {}),
    "click": ("ranking.Ranking", {"k": 3}),
}
ADDED = [
    "married_prediction", "married_probability_yes", "level_prediction", *(f"level_probability_{k}" for k in (1, 2, 3)),
    "wage_prediction", "kids_prediction", "outcome_risk", "click_probability",
]  # fmt: skip


def rows(count, seed=0):
    rng = np.random.default_rng(seed)
    table = []
    for row in range(count):
        age, job = int(rng.integers(20, 60)), str(rng.choice(["chef", "nurse, senior", 'a "pilot"']))
        older = age > 40
        table.append([
            age, job, "yes" if older else "no", 1 + older + (rng.random() < 0.5), 1000 + 20 * age, int(older) * 3,
            round(float(rng.exponential(2 - older)) + 0.01, 3), int(rng.random() < 0.7), int(rng.random() < 0.5),
            row // 5, "007",
        ])  # fmt: skip
    return table


def node(name, path):
    kind, options = KINDS[name]
    changes = {"path": str(path), "targets": TARGETS, "drop": ["note"], "batch_size": 32}
    dataset = {"_target_": "mtl_cli.datasets.tabular.Tabular", **defaults("tabular"), **changes}
    head = {"_target_": "mtl_cli.heads.mlp.MLPHead", "hidden": []}
    target = {"_target_": f"mtl_cli.tasks.{kind}", "target": name, "weight": 1.0, "head": head}
    return {**target, **options, "dataset": dataset}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run on a table with a label of each kind; the table itself is gone afterwards."""
    folder = tmp_path_factory.mktemp("predict")
    path = write_csv(folder / "train.csv", HEADER, rows(300))
    backbone = {"_target_": "mtl_cli.backbones.tabular.Tabular", "hidden": [16], "embedding": 4, "dropout": 0.1}
    config = _toy.config(
        tasks={name: node(name, path) for name in TARGETS},
        backbone={**backbone, "activation": "relu", "init": "default"},
        ema__decay=0.9,
        trainer__max_epochs=10,
    )
    run.train(config, folder / "run", [])
    path.unlink()
    return folder / "run"


def read(path, delimiter=","):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file, delimiter=delimiter))


def test_every_row_and_cell_comes_back_with_the_predictions_beside(trained, tmp_path):
    cells = [[str(cell) for cell in row] for row in rows(70, seed=3)]
    cells[4][0], cells[5][1], cells[6][2], cells[7][3] = "", "NA", "", "9"  # missing input, unknown label
    source = write_csv(tmp_path / "new.csv", HEADER, cells)
    assert predict(trained, source, tmp_path / "out.csv", {"batch_size": 32}) == 70
    header, *body = read(tmp_path / "out.csv")
    assert header == HEADER + ADDED
    assert [row[: len(HEADER)] for row in body] == cells
    numbers = {name: [row[header.index(name)] for row in body] for name in ADDED}
    assert set(numbers["married_prediction"]) == {"yes", "no"}
    assert set(numbers["level_prediction"]) <= {"1", "2", "3"}
    older = [row[0] != "" and int(row[0]) > 42 for row in cells]
    younger = [row[0] != "" and int(row[0]) < 38 for row in cells]
    probability = np.array(numbers["married_probability_yes"], dtype=float)
    assert probability[older].min() > 0.5 > probability[younger].max()
    wages = np.array(numbers["wage_prediction"], dtype=float)
    assert 1400 < wages.min() < 1700 < wages.max() < 2300  # in their own unit
    kids, risk = (np.array(numbers[name], dtype=float) for name in ("kids_prediction", "outcome_risk"))
    assert kids.min() > 0
    assert kids[older].mean() > 2 * kids[younger].mean()
    assert risk[older].mean() > risk[younger].mean()


def test_predictions_are_those_of_the_evaluated_model_whatever_the_batch_size(trained, tmp_path):
    """The figures of the run's own test split, worked out from the written file."""
    table = rows(120, seed=8)
    source = write_csv(tmp_path / "new.csv", HEADER, table)
    tests = {f"tasks.{name}.dataset.test_path": str(source) for name in TARGETS}
    evaluated = evaluation.evaluate_checkpoint(trained, tests | {
        f"tasks.{name}.dataset.path": str(write_csv(tmp_path / "train.csv", HEADER, rows(300))) for name in TARGETS
    }, [])  # fmt: skip
    for size in (7, 4096):
        predict(trained, source, tmp_path / "out.csv", {"batch_size": size})
        header, *body = read(tmp_path / "out.csv")
        column = {name: [row[index] for row in body] for index, name in enumerate(header)}
        accuracy = np.mean([a == b for a, b in zip(column["married"], column["married_prediction"], strict=True)])
        assert accuracy == pytest.approx(evaluated["metrics"]["married/accuracy"], abs=1e-6)
        errors = np.array(column["wage_prediction"], dtype=float) - np.array(column["wage"], dtype=float)
        assert np.sqrt(np.mean(errors**2)) == pytest.approx(evaluated["metrics"]["wage/rmse"], rel=1e-5)


def test_tsv_and_parquet_come_out_as_they_came_in(trained, tmp_path):
    comma = write_csv(tmp_path / "new.csv", HEADER, rows(50, seed=4))
    predict(trained, comma, tmp_path / "out.csv", {})
    tab = tmp_path / "new.tsv"
    with tab.open("w", newline="") as file:
        csv.writer(file, delimiter="\t").writerows(read(comma))
    predict(trained, tab, tmp_path / "out.tsv", {})
    assert read(tmp_path / "out.tsv", "\t") == read(tmp_path / "out.csv")
    table = pyarrow.csv.read_csv(comma)
    pq.write_table(table, tmp_path / "new.parquet")
    predict(trained, tmp_path / "new.parquet", tmp_path / "out.parquet", {"batch_size": 16})
    written = pq.read_table(tmp_path / "out.parquet")
    assert written.select(HEADER).equals(table)
    assert written.column_names == HEADER + ADDED
    assert written.schema.field("wage_prediction").type == pa.float32()
    as_text = [row[len(HEADER) + ADDED.index("wage_prediction")] for row in read(tmp_path / "out.csv")[1:]]
    assert np.allclose(written["wage_prediction"].to_numpy(), np.array(as_text, dtype=float), rtol=1e-5)


def test_extra_columns_are_copied_labels_may_be_absent_and_any_order_will_do(trained, tmp_path):
    table = [["x", 50, "chef"], ["y", 22, "astronaut"]]
    source = write_csv(tmp_path / "new.csv", ["extra", "age", "job"], table)
    predict(trained, source, tmp_path / "out.csv", {})
    header, *body = read(tmp_path / "out.csv")
    assert header == ["extra", "age", "job", *ADDED]
    swapped = write_csv(tmp_path / "swapped.csv", ["job", "age"], [["chef", 50], ["never seen either", 22]])
    predict(trained, swapped, tmp_path / "again.csv", {})
    assert [row[3:] for row in body] == [row[2:] for row in read(tmp_path / "again.csv")[1:]]


def test_a_file_without_rows_gives_the_header_alone(trained, tmp_path):
    source = write_csv(tmp_path / "new.csv", HEADER, [])
    assert predict(trained, source, tmp_path / "out.csv", {}) == 0
    assert read(tmp_path / "out.csv") == [HEADER + ADDED]
    pq.write_table(
        pa.table({"age": pa.array([], pa.int64()), "job": pa.array([], pa.string())}), tmp_path / "no.parquet"
    )
    predict(trained, tmp_path / "no.parquet", tmp_path / "out.parquet", {})
    assert pq.read_table(tmp_path / "out.parquet").num_rows == 0


def test_chosen_tasks_alone_are_written(trained, tmp_path):
    source = write_csv(tmp_path / "new.csv", HEADER, rows(5))
    predict(trained, source, tmp_path / "out.csv", {"tasks": ["wage", "kids"]})
    assert read(tmp_path / "out.csv")[0] == [*HEADER, "wage_prediction", "kids_prediction"]
    with pytest.raises(UserError, match=r"'wagee' is not a task.*Did you mean 'wage'"):
        predict(trained, source, tmp_path / "out.csv", {"tasks": "wagee"})


def test_one_file_of_a_checkpoint_is_enough(trained, tmp_path):
    name = json.loads((trained / "checkpoints" / "best.json").read_text())["file"]
    (tmp_path / "model.pt").write_bytes((trained / "checkpoints" / name).read_bytes())
    source = write_csv(tmp_path / "new.csv", HEADER, rows(9))
    predict(trained, source, tmp_path / "a.csv", {})
    predict(tmp_path / "model.pt", source, tmp_path / "b.csv", {})
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_compressed_text_goes_in_and_out(trained, tmp_path):
    source = write_csv(tmp_path / "new.csv", HEADER, rows(9))
    with pa.output_stream(tmp_path / "new.csv.gz") as stream:
        stream.write(source.read_bytes())
    predict(trained, source, tmp_path / "out.csv", {})
    predict(trained, tmp_path / "new.csv.gz", tmp_path / "out.csv.gz", {})
    assert (tmp_path / "out.csv.gz").read_bytes()[:2] == b"\x1f\x8b"
    with pa.input_stream(tmp_path / "out.csv.gz") as stream:
        assert stream.read() == (tmp_path / "out.csv").read_bytes()


BAD = {
    "no column 'age'": (["job"], [["chef"]], "out.csv"),
    "'old'": (["age", "job"], [[50, "chef"], ["old", "chef"]], "out.csv"),
    "already": (["age", "job", "wage_prediction"], [[50, "chef", 1]], "out.csv"),
    "the input itself": (["age", "job"], [[50, "chef"]], "new.csv"),
    "is parquet": (["age", "job"], [[50, "chef"]], "out.parquet"),
    "not in a folder": (["age", "job"], [[50, "chef"]], "new.csv/out.csv"),
}


@pytest.mark.parametrize("message", BAD)
def test_what_cannot_be_is_told_and_leaves_no_file(trained, tmp_path, message):
    header, table, output = BAD[message]
    source = write_csv(tmp_path / "new.csv", header, table)
    before = source.read_bytes()
    with pytest.raises(UserError, match=message):
        predict(trained, source, tmp_path / output, {})
    assert os.listdir(tmp_path) == ["new.csv"]
    assert source.read_bytes() == before


def test_the_folder_of_the_output_is_made_and_goes_again_where_nothing_is_written(trained, tmp_path):
    source = write_csv(tmp_path / "new.csv", HEADER, rows(3))
    predict(trained, source, tmp_path / "a" / "b" / "out.csv", {})
    assert os.listdir(tmp_path / "a" / "b") == ["out.csv"]
    table = rows(40)
    table[37][0] = "old"
    source = write_csv(tmp_path / "new.csv", HEADER, table)
    with pytest.raises(UserError, match=r"row 38|row 39|line 39"):
        predict(trained, source, tmp_path / "c" / "d" / "out.csv", {"batch_size": 8})
    assert sorted(os.listdir(tmp_path)) == ["a", "new.csv"]


def test_a_link_to_the_input_is_the_input(trained, tmp_path):
    source = write_csv(tmp_path / "new.csv", HEADER, rows(3))
    (tmp_path / "link.csv").symlink_to(source)
    with pytest.raises(UserError, match="the input itself"):
        predict(trained, source, tmp_path / "link.csv", {})


def test_an_error_midway_keeps_what_was_there(trained, tmp_path):
    table = rows(40)
    table[37][0] = "old"
    source = write_csv(tmp_path / "new.csv", HEADER, table)
    (tmp_path / "out.csv").write_text("before")
    with pytest.raises(UserError, match=r"row 38|row 39|line 39"):
        predict(trained, source, tmp_path / "out.csv", {"batch_size": 8})
    assert (tmp_path / "out.csv").read_text() == "before"
    assert sorted(os.listdir(tmp_path)) == ["new.csv", "out.csv"]


def test_a_full_disk_leaves_nothing_behind(trained, tmp_path, monkeypatch):
    source = write_csv(tmp_path / "new.csv", HEADER, rows(3))

    def full(self, names, columns):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(TableWriter, "_open", full)
    with pytest.raises(RunFailure, match="No space left"):
        predict(trained, source, tmp_path / "out.csv", {})
    assert os.listdir(tmp_path) == ["new.csv"]


def test_runs_without_a_table_are_refused(tmp_path):
    run.train(_toy.config(), tmp_path / "run", [])
    source = write_csv(tmp_path / "new.csv", HEADER, rows(3))
    with pytest.raises(UserError, match="has a dataset that reads new inputs such as"):
        predict(tmp_path / "run", source, tmp_path / "out.csv", {"trust": ["tests"]})


def test_the_command(trained, tmp_path, capsys):
    source = write_csv(tmp_path / "new.csv", HEADER, rows(3))
    words = [f"checkpoint={trained}", f"input={source}", f"output={tmp_path / 'out.csv'}"]
    assert cli.main_predict([*words, "batch_size=2", "tasks=[wage]"]) == 0
    assert "3 rows with wage_prediction" in capsys.readouterr().out
    assert len(read(tmp_path / "out.csv")) == 4
    for wrong, message in (
        ([], "needs checkpoint=, input=, output="),
        ([*words[:2]], "needs output="),
        (["checkpoint=nowhere", "input=nothing", words[2]], "No checkpoint at nowhere"),
        ([*words, "batchsize=3"], "Did you mean 'batch_size'"),
        ([*words, "batch_size=0"], "batch_size is 0"),
        ([*words, "--multirun"], "no option --multirun"),
    ):
        assert cli.main_predict(wrong) == 2
        assert message in capsys.readouterr().err
    assert cli.main_predict(["--help"]) == 0
    assert "batch_size=4096" in capsys.readouterr().out
