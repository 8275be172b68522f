"""Files of the kinds that people have: what is pointed out, what is read, and what is refused with a way out."""

import csv
import json
import random
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from mtl_cli import cli
from mtl_cli.init.labels import of_numbers
from mtl_cli.init.leaks import says
from mtl_cli.init.probe import Cells
from mtl_cli.init.repeated import copied_rows
from tests.init._looking import advised, dataset, look, refused, train

RNG = random.Random(7)
X = [round(RNG.gauss(0, 1), 3) for _ in range(240)]
Y = ["yes" if x + RNG.gauss(0, 0.5) > 0 else "no" for x in X]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write(header, *columns, encoding="utf-8", above=()):
    with open("data.csv", "w", newline="", encoding=encoding) as file:
        csv.writer(file).writerows([*above, header, *zip(*columns, strict=True)])


def with_every(number, value, column):
    return [value if index % number == 0 else each for index, each in enumerate(column)]


MISSING_CODE = with_every(9, -999, X)
NOTED = {
    "a code for missing inputs": (["x", "y"], [MISSING_CODE, Y], "x: -999 in 27 rows, far from all other values"),
    "a date for none": (
        ["day", "x", "y"],
        [with_every(9, "1900-01-01", [f"2020-{1 + k % 12:02}-{1 + k % 28:02}" for k in range(240)]), X, Y],
        "day: 1900-01-01 in 27 rows, far from all other dates",
    ),
    "a zero apart": (["x", "y"], [with_every(9, 0, [x + 50 for x in X]), Y], "x: 0 in 27 rows, far from all other"),
    "an age of -1": (
        ["age", "y"], [with_every(9, -1, [abs(x) * 50 for x in X]), Y], "age: -1 in 27 rows, the only number less",
    ),
    "a missing label": (["x", "y"], [X, with_every(10, "?", Y)], "the label '?' may stand for a missing one"),
    "days in order": (
        ["day", "x", "y"], [[f"2020-{1 + k // 28:02}-{1 + k % 28:02}" for k in range(240)], X, Y],
        "rows are in the order of day",
    ),
    "copies": (["x", "z", "y"], [X[:80] * 3, X[80:160] * 3, Y[:80] * 3], "160 of 240 rows are the same as an earlier"),
    "yes in many ways": (
        ["x", "y"], [X, [("Y", "1", "true", "no")[k % 4] for k in range(240)]], "say yes or no in several ways",
    ),
    "a point behind some labels": (["x", "y"], [X, with_every(3, "no.", Y)], "'no', 'no.' differ in signs around them"),
    "a NUL behind some labels": (["x", "y"], [X, with_every(3, "no\0", Y)], "'no', 'no\\x00' differ in signs around"),
    "letters composed in two ways": (
        ["x", "y"], [X, [("café", "cafe\u0301", "no")[k % 3] for k in range(240)]], "or the form of letters alone",
    ),
    "NA as a label": (["x", "y"], [X, with_every(3, "NA", Y)], "y: 80 cells 'NA' count as missing labels"),
    "patients": (
        ["patient_id", "x", "y"], [[100 + k % 40 for k in range(240)], X, [("a", "b")[k % 40 % 2] for k in range(240)]],
        "patient_id: 40 values in 240 rows, and rows of one are in the training and in the test split. All rows of one",
    ),
    "no answer beside a scale": (
        ["x", "y"], [X, with_every(20, 9, [1 + k % 5 for k in range(240)])], "y: 9 in 12 rows, beside a scale from 1",
    ),
    "days as numbers": (
        ["d", "x", "y"], [[20200101 + 100 * (k % 3) + k % 28 for k in range(240)], X, Y], "d: numbers such as 20200101",
    ),
    "splits of which one is mistyped": (
        ["split", "x", "y"], [with_every(50, "tset", ["train", "val", "test"] * 80), X, Y],
        "split: an input, though its name says that it divides the rows",
    ),
    "categories in several ways": (
        ["sex", "x", "y"], [["M", "m ", "F"] * 80, X, Y], "sex: the categories 'M', 'm' differ in capitals or",
    ),
    "weights of a survey": (["pspwght", "x", "y"], [[abs(x) for x in X], X, Y], "++tasks.y.weight_column=pspwght"),
    "a column of folds": (["fold", "x", "y"], [[k % 5 for k in range(240)], X, Y], "fold: an input, though its name"),
    "a limit": (["x", "l", "y"], [X, with_every(9, "<0.1", X), Y], "'<0.1' among numbers: counted as missing. It says"),
}  # fmt: skip


@pytest.mark.parametrize("kind", [pytest.param(k, marks=pytest.mark.slow if "days" in k else ()) for k in NOTED])
def test_what_deserves_a_look_is_told_and_its_way_out_works(kind, capsys):
    header, columns, said = NOTED[kind]
    write(header, *columns)
    out = look(capsys, "[y]")
    assert said in out
    if ways := re.findall(r"mtl-init … (.*)", out):
        again = look(capsys, "[y]", *(word for way in ways for word in shlex.split(way)))
        assert said not in again
    if "weight_column" in out:
        train(capsys, out, "trainer.max_steps=2", said)
    if "time_column" in out:
        path = Path("conf/dataset/data.yaml")
        path.write_text(re.sub(r"(?m)^stratify.*$", "time_column: day", path.read_text()))
        train(capsys, out, "trainer.max_steps=2")


@pytest.mark.parametrize("kind", ["natural repeats", "few values", "plain"])
def test_nothing_is_told_of_usual_files(kind, capsys):
    usual = {"natural repeats": [round(x, 1) for x in X], "few values": [k % 3 for k in range(240)], "plain": X}
    write(["x", "y"], usual[kind], Y)
    assert "Look at this too" not in look(capsys, "[y]")


@pytest.mark.slow
def test_numbers_with_units_and_typographic_minus_are_numbers(capsys):
    columns = [f"{x * 10:.1f} km/h" for x in X], [f"{x:.2f}°C" for x in X], [f"{x:.2f}".replace("-", "−") for x in X]
    write(["speed", "warmth", "plain", "y"], *columns, Y)
    out = look(capsys, "[y]")
    assert "numeric: speed, warmth, plain" in out
    assert dataset()["number_signs"] == ["km/h", "°C"]
    assert train(capsys, out, "trainer.max_epochs=40")["y/auc"] > 0.8


def test_letters_behind_few_numbers_are_names(capsys):
    write(["x", "kind", "y"], X, [("2D", "3D")[k % 2] for k in range(240)], Y)
    assert "categorical: kind" in look(capsys, "[y]")


WORDS = {"cp1252": "Größe €", "latin-1": "Größe", "utf-16": "Größe", "cp1251": "цена", "shift_jis": "値段ねだん",
         "gb18030": "价格", "euc_kr": "값", "utf-16-le": "Größe"}  # fmt: skip


@pytest.mark.parametrize("encoding", [pytest.param(e, marks=() if e < "e" else pytest.mark.slow) for e in WORDS])
def test_an_encoding_is_right_or_asked_for(encoding, capsys):
    word = WORDS[encoding]
    write(["x", word, "y"], X, [f"{word} {k % 3}" for k in range(240)], Y, encoding=encoding)
    if encoding in ("cp1252", "latin-1", "utf-16"):
        out = look(capsys, "[y]")
    else:
        assert f"encoding={encoding}" in refused(capsys, "[y]")
        out = look(capsys, "[y]", f"encoding={encoding}")
    assert f"categorical: {word}" in out
    train(capsys, out, "trainer.max_steps=1")
    assert cli.main_predict(["checkpoint=run", "input=data.csv", "output=out.csv"]) == 0
    assert Path("out.csv").read_text(encoding=encoding).startswith(f"x,{word},y,y_prediction")
    capsys.readouterr()
    assert cli.main_init(["input=out.csv", "target=[y]", "output=other", f"encoding={encoding}"]) == 0


def test_an_encoding_in_doubt_is_told_and_its_way_out_works(capsys):
    names = [
        *["Größe", "José", "André", "été", "âgé", "créé", "où", "né", "à", "niño", "São"],
        "Dvořák".encode("cp1250").decode("cp1252"),
    ]
    write(["x", "name", "y"], X, [names[k % 12] for k in range(240)], Y, encoding="cp1252")
    out = look(capsys, "[y]")
    assert "in latin-1 a word of it is 'Dvoøák'. If it is 'Dvořák', say so: mtl-init … encoding=cp1250" in out
    assert "a word of it is" not in look(capsys, "[y]", "encoding=cp1250")
    words = "".join(f"{name} {'N' if k % 3 else 'V'}\n\n" for k, name in enumerate(names * 3))
    Path("a.conll").write_text(words, encoding="cp1252")
    assert "'Dvoøák'. If it is 'Dvořák', say so" in look(capsys, "[pos]", source="a.conll")
    look(capsys, "[pos]", "encoding=cp1250", source="a.conll")
    assert dataset("a")["encoding"] == "cp1250"


def test_lines_side_by_side_are_of_one_encoding_which_is_found(capsys):
    Path("a.en").write_text("".join(f"I am {k}\n" for k in range(30)))
    lines = [f"je suis né {k}\n" for k in range(30)]
    Path("a.fr").write_text("".join(lines), encoding="latin-1")
    look(capsys, "[fr]", "source=en", source="a.en")
    assert dataset("a")["encoding"] == "latin-1"
    Path("a.es").write_text("".join(lines), encoding="utf-8")
    assert cli.main_init(["input=a.en", "source=en", "target=[fr,es]", "output=other"]) == 2
    assert "a.fr is latin-1, a.es is utf-8. Write all of them in UTF-8" in capsys.readouterr().err


REFUSED = {
    "a second line of names": ({"above": [["a", "", "c"]]}, "it looks like a second line of names or units"),
    "a line of Excel's": ({"above": [["sep=,"]]}, "begins with 'sep=,', a line of Excel's. Delete it."),
    "a title": ({"above": [["Report"]]}, "If it is a title or a comment, delete what stands above the names"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_lines_above_the_names_are_refused(kind, capsys):
    options, said = REFUSED[kind]
    write(["x", "z", "y"], X, X, Y, **options)
    assert said in refused(capsys, "[c]" if "second" in kind else "[y]")


NUMBERS = [abs(round(1000 * x)) for x in X]
JOINED = [*zip(X, Y, strict=True), ("x", "y"), *zip(X, Y, strict=True)]


@pytest.mark.parametrize("names", [["0.5", "-1.5", "yes"], ["5", "3", "4", "2", "yes"]])
def test_a_file_without_names_is_refused_and_its_way_out_works(names, capsys):
    write(names, *[X] * (len(names) - 1), Y)
    told = refused(capsys, "['yes']")
    assert "the first line looks like a row" in told
    given = f"column_names=[{','.join('abcd'[: len(names) - 1])},y]"
    assert "241 rows" in look(capsys, "[y]", given)


@pytest.mark.parametrize(
    "names", [["2019", "2020", "2021", "y"], ["400.5", "401", "401.5", "402", "y"], ["7", "x", "y"]]
)
def test_numbers_that_are_names_pass(names, capsys):
    write(names, *[X] * (len(names) - 1), Y)
    look(capsys, "[y]")


def test_names_among_the_rows_are_refused(capsys):
    write(["x", "y"], *zip(*JOINED, strict=True))
    assert "row 241 holds 'x' in the column of that name" in refused(capsys, "[y]")


def test_points_between_thousands_are_asked_for(capsys):
    write(["pop", "y"], [f"{n:,}".replace(",", ".") for n in NUMBERS], Y)
    told = refused(capsys, "[y]")
    assert "the point in '1." in told
    whole, parted = (look(capsys, "[y]", *words) for words in advised(told))
    assert "thousands" not in whole
    assert dataset()["thousands"] == "."
    assert "numeric: pop" in parted


def test_a_file_without_an_input_is_refused(capsys):
    write(["note", "y"], [f"n{k}" for k in range(240)], Y)
    assert "no input to predict y from. Left out are note: nearly every row has a value" in refused(capsys, "[y]")


def test_classes_that_no_training_row_has_are_told(capsys, caplog):
    labels = [each if k < 216 else "new" for k, each in enumerate(Y)]
    write(["x", "y", "split"], X, labels, ["train"] * 150 + ["val"] * 50 + ["test"] * 40)
    train(capsys, look(capsys, "[y]"), "trainer.max_steps=1")
    assert "tasks.y: no training row has the class 'new', other rows do: 24." in caplog.text


def test_splits_without_a_label_are_told_and_the_last_evaluation_counts(capsys, caplog):
    write(["x", "y", "split"], X, [*Y[:160], *[""] * 80], ["train"] * 160 + ["val"] * 40 + ["test"] * 40)
    train(capsys, look(capsys, "[y]"), "trainer.max_steps=6", "trainer.eval_every=1", "data.batch_size=80")
    assert "The validation split has no label of y, so the last evaluation counts as the best." in caplog.text
    assert "The test split has no label of y." in caplog.text
    assert json.loads(Path("run/summary.json").read_text())["selection"]["best_step"] == 6


@pytest.mark.parametrize("values", [("1", "2"), ("alive", "dead")])
def test_events_that_say_neither_yes_nor_no_are_refused_and_the_way_out_works(values, capsys):
    write(["x", "time", "status"], X, [abs(x) for x in X], [values[k % 2] for k in range(240)])
    assert f"holds {' and '.join(values)}, which do not say whether a time ended" in refused(capsys, "[time+status]")
    write(["x", "time", "status"], X, [abs(x) for x in X], [k % 2 for k in range(240)])
    assert "time_status: survival" in look(capsys, "[time+status]")


def test_numbers_that_name_things_are_classes_where_they_are_predicted(capsys):
    write(["x", "item_id", "itemId", "idle"], X, *[[7 * (k % 30) for k in range(240)]] * 3)
    out = look(capsys, "[item_id,itemId,idle]")
    assert out.count("because the name says that the numbers are names") == 2
    assert "idle: real" in out or "idle: count" in out


def test_few_rows_with_labels_that_all_differ_say_nothing_of_an_input():
    numbers = np.arange(240.0)
    labels = np.where(numbers % 10 == 0, np.random.RandomState(0).randn(240), np.nan)
    assert says(of_numbers("y", labels), Cells(np.arange(240), numbers)) == ""


def test_copies_are_counted_by_hand():
    one, other = np.arange(40) % 20, np.arange(40) % 20 * 3
    assert "20 of 40 rows" in copied_rows([one, other])[0]
    assert copied_rows([one, np.arange(40)]) == []
