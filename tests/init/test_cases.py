"""Small files that went wrong once (tests/cases), and others of the same kinds: what mtl-init makes of them."""

import json
import random
import shlex
import time
from pathlib import Path

import numpy as np
import pytest

from mtl_cli import cli
from tests.init._looking import advised, dataset, kind, look, refused, task, train
from tests.tables._files import everything, tabular, write_csv


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def stream(count=300, seed=0):
    rng = random.Random(seed)
    return [(rng, rng.gauss(0, 1)) for _ in range(count)]


def write(header, rows, delimiter=","):
    write_csv(Path("data.csv"), header, rows, delimiter=delimiter)


def test_ids_beyond_float64_and_postal_codes_are_categories(capsys):
    out = look(capsys, "[bin,reg]", case="long_ids.csv")
    assert "categorical: id19, zip" in out
    assert "drop id19" not in out
    assert train(capsys, out, "trainer.max_epochs=30")["bin/auc"] == 1.0


def test_ids_of_17_digits_with_one_row_each_are_left_out(capsys):
    out = look(capsys, "[y,z]", case="huge_int.csv")
    assert "drop id: nearly every row has a value of its own" in out
    assert "id" in dataset()["drop"]


def test_codes_that_help_as_categories_are_proposed_as_such(capsys):
    out = look(capsys, "[sales]", case="int_categories.csv")
    assert dataset()["categorical"] == ["store"]
    assert "store is categorical: codes that repeat: as categories they save 100% of the error of a number" in out
    assert "store alone predicts sales" in out


@pytest.mark.slow
def test_the_command_for_codes_learns_from_them(capsys):
    out = look(capsys, "[sales]", case="int_categories.csv")
    assert train(capsys, out, "trainer.max_epochs=100")["sales/rmse"] < 0.4


def test_codes_that_help_in_pairs_only_are_proposed_too(capsys):
    out = look(capsys, "[like,stars]", case="recsys.csv")
    assert dataset()["categorical"] == ["user_id", "item_id"]
    assert "on held rows of like, together with item_id" in out


def test_whole_numbers_that_are_quantities_stay_numbers(capsys):
    rows = []
    for rng, noise in stream():
        age, rooms = rng.randint(18, 90), rng.randint(1, 8)
        rows.append([age, rooms, round(0.1 * age + rooms + noise, 3)])
    write(["age", "rooms", "rent"], rows)
    look(capsys, "rent")
    assert "categorical" not in dataset()


def test_numbers_of_rows_in_any_order_are_left_out(capsys):
    out = look(capsys, "[y,z]", case="ids_int_unsorted.csv")
    assert "drop customer_id: nearly every row has a number of its own, and the name says" in out
    rng = random.Random(0)
    numbers = list(range(500, 800))
    rng.shuffle(numbers)
    write(["row", "x", "y"], [[n, *(round(rng.gauss(0, 1), 4) for _ in range(2))] for n in numbers])
    out = look(capsys, "y")
    assert "drop row: whole numbers from 500 to 799 without gaps, one per row: they number the rows" in out
    write(["rank", "x", "y"], [[n, rng.gauss(0, 1), n / 100 + rng.gauss(0, 0.1)] for n in numbers])
    look(capsys, "y")
    assert dataset()["drop"] == ["y"], "numbers without a gap that say something stay"


def test_copies_and_monotone_functions_of_a_target_are_left_out(capsys):
    out = look(capsys, "[price]", case="copy_of_real_target.csv")
    assert "drop price_copy: it is a copy of the target price, so the answer would leak into the question" in out
    rows = [[noise, round(2.0**noise, 12), -noise, rng.random()] for rng, noise in stream()]
    write(["y", "exp", "negated", "x"], rows)
    out = look(capsys, "y")
    assert "drop exp: it is a monotone function of the target y" in out
    assert "drop negated: it is a monotone function of the target y" in out
    assert dataset()["drop"] == ["exp", "negated", "y"]


def test_a_copy_stays_with_a_warning_where_no_other_input_is_left(capsys):
    write(["y", "x"], [[noise, 3 * noise] for _, noise in stream()])
    out = look(capsys, "y")
    assert "x stays an input, because no other is left, but it is a monotone function of the target y" in out
    assert dataset()["drop"] == ["y"]


def test_columns_that_predict_a_target_alone_are_named_first(capsys):
    rows = []
    for rng, noise in stream():
        rows.append([round(noise, 1), "pass" if noise > 0.3 else "fail", rng.random(), rng.choice("abc"), noise])
    write(["rounded", "mark", "x", "c", "score"], rows)
    out = look(capsys, "[score,mark]")
    first = out.partition("Targets")[0]
    assert "Look at these columns first" in first
    assert "rounded alone predicts score (99." in first
    assert "rounded alone predicts mark" in first
    assert "x alone" not in out
    assert "c alone" not in out
    look(capsys, "[score,mark]", "drop=[rounded]")
    assert "rounded" in dataset()["drop"]


def test_words_among_numbers_are_missing_ones_and_are_listed(capsys):
    out = look(capsys, "[y]", case="two_stray_texts.csv")
    assert "x: '?', 'unknown' among numbers: counted as missing" in out
    assert {"?", "unknown"} <= set(dataset()["missing_values"])
    assert "numeric: x" in out
    assert train(capsys, out)["y/auc"] > 0.9


def test_words_among_numbers_that_are_labels_stay_labels(capsys):
    rows = [["unknown" if k % 20 == 3 else noise, "unknown" if noise > 0.5 else "known", noise] for k, (_, noise) in
            enumerate(stream())]  # fmt: skip
    write(["x", "y", "z"], rows)
    out = look(capsys, "y")
    assert "x: 'unknown' is also a label of a target, so it does not count as missing" in out
    assert task("y")["classes"] == ["known", "unknown"]
    assert "missing_values" not in dataset()


def test_few_numbers_with_a_word_among_them_are_categories(capsys):
    rows = [[rng.choice(["1", "2", "3", "G", "B", "A"]), noise] for rng, noise in stream()]
    write(["floor", "y"], [row if k % 3 else ["1", row[1]] for k, row in enumerate(rows)])
    out = look(capsys, "y")
    assert "categorical: floor" in out
    assert "missing_values" not in dataset()


def test_missing_labels_of_numbers_are_words_of_the_task(capsys):
    write(["x", "y"], [[noise, "?" if k % 9 == 0 else "n/a" if k % 9 == 1 else noise * 2 + rng.random()]
                                for k, (rng, noise) in enumerate(stream())])  # fmt: skip
    look(capsys, "y")
    assert kind("y") == "Regression"
    assert task("y")["missing"] == ["?", "n/a"]


def test_a_decimal_comma_is_found(capsys):
    out = look(capsys, "[y,z]", case="semicolon_decimal_comma.csv")
    assert dataset()["decimal"] == ","
    assert kind("z") == "Regression"
    assert "numeric: x" in out
    train(capsys, out)


def test_signs_between_thousands_are_found(capsys):
    out = look(capsys, "[y,z]", case="thousands.csv")
    assert dataset()["thousands"] == ","
    assert kind("z") == "Regression"
    train(capsys, out)


@pytest.mark.parametrize(
    ("written", "options"),
    [
        (lambda v: f"{v:.2f}".replace(".", ","), {"decimal": ","}),
        (lambda v: f"{v * 1e4:,.2f}".translate(str.maketrans(",.", ".,")), {"decimal": ",", "thousands": "."}),
        (lambda v: f"{v * 1e4:,.0f}".replace(",", " ") + ",5", {"decimal": ",", "thousands": " "}),
        (lambda v: f"{v * 1e4:,.1f}".replace(",", "'"), {"thousands": "'"}),
        (lambda v: f"${v * 1e4:,.2f}", {"thousands": ",", "number_signs": ["$"]}),
        (lambda v: f"{v:.1f} %", {"number_signs": ["%"]}),
        (lambda v: f"{v * 100:.2f} €".replace(".", ","), {"decimal": ",", "number_signs": ["€"]}),
    ],
)  # fmt: skip
def test_every_notation_of_numbers_is_found_by_looking(capsys, written, options):
    write(["x", "y"], [[written(abs(noise) + 1), k % 2] for k, (_, noise) in enumerate(stream())], ";")
    out = look(capsys, "y")
    assert "numeric: x" in out
    keys = ("decimal", "thousands", "number_signs")
    assert {key: dataset()[key] for key in keys if key in dataset()} == options


def test_a_comma_with_two_meanings_is_asked_for_and_each_answer_works(capsys):
    write(["x", "y"], [[f"{rng.randint(1, 99)},{rng.randint(100, 999)}", rng.random() < 0.5] for rng, _ in
                                stream()])  # fmt: skip
    said = refused(capsys, "y")
    assert "column 'x': the comma in '" in said
    answers = advised(said)
    assert answers == [["decimal=','"], ["thousands=','"]]
    for (answer,) in answers:
        assert "numeric: x" in look(capsys, "y", answer)
        assert dataset()[answer.partition("=")[0]] == ","


def test_dates_with_zones_are_read(capsys):
    out = look(capsys, "[y]", case="iso_dates_with_zone.csv")
    assert "dates (days since 1970): when" in out
    train(capsys, out)


def test_the_order_of_day_and_month_is_found_where_it_is_clear(capsys):
    out = look(capsys, "[y]", case="dates_dmy.csv")
    assert dataset()["date_order"] == "dmy"
    assert "the day comes first in dates, as those of when show" in out
    train(capsys, out)
    write(["when", "y"], [[f"{k % 12 + 1}/{k % 28 + 1}/2020 0{k % 9 + 1}:30 PM", k % 2] for k in range(100)])
    assert "dates (days since 1970): when" in look(capsys, "y")
    assert dataset()["date_order"] == "mdy"


def test_dates_with_two_meanings_are_asked_for_and_each_answer_works(capsys):
    write(["x", "when", "y"], [[k % 7, f"{k % 12 + 1:02d}/{k % 11 + 1:02d}/2020", k % 2] for k in range(100)])
    said = refused(capsys, "y")
    assert "column 'when': day or month may come first in dates such as 01/01/2020" in said
    answers = advised(said)
    assert answers == [["date_order=dmy"], ["date_order=mdy"]]
    for answer in answers:
        assert "dates (days since 1970): when" in look(capsys, "y", *answer)
    assert "when" in look(capsys, "y", "drop=[when]").partition("drop")[2]


def test_dates_in_two_orders_are_refused_and_the_way_out_works(capsys):
    rows = [[k % 7, f"{k % 28 + 1}/03/2020", f"03/{k % 28 + 1}/2020", k % 2] for k in range(100)]
    write(["x", "one", "other", "y"], rows)
    said = refused(capsys, "y")
    assert "the day comes first in the dates of 'one', the month in those of 'other'" in said
    [answer] = advised(said)
    assert "dates (days since 1970): one" in look(capsys, "y", *answer)


def test_a_column_of_splits_divides_the_rows(capsys):
    out = look(capsys, "[y,z]", case="split_col.csv")
    assert dataset()["split_column"] == "split"
    assert "stratify" not in dataset()
    assert "rows are divided by the column split" in out
    assert "split" not in out.partition("Inputs\n")[2].partition("\n\n")[0]
    train(capsys, out)


def test_a_column_of_words_of_which_some_name_splits_is_an_input(capsys):
    write(["part", "y"], [[("train", "test", "gym")[k % 3], k % 2] for k in range(90)])
    assert "categorical: part" in look(capsys, "y")
    write(["part", "y"], [["val" if k % 3 else "test", k % 2] for k in range(90)])
    assert "categorical: part" in look(capsys, "y")


def test_groups_are_no_input_in_the_report_either(capsys):
    out = look(capsys, "[y,z]", "group=patient", case="groups.csv")
    assert "all rows of one patient are in one split" in out
    assert "patient" not in out.partition("Inputs\n")[2].partition("\n\n")[0]
    assert dataset()["group_column"] == "patient"
    train(capsys, out)


def test_many_columns_of_one_target_have_a_short_name_which_can_be_set(capsys):
    target = "+".join(f"label_{k:02d}" for k in range(60))
    out = look(capsys, f"[{target}]", case="multilabel_60_columns.csv")
    assert kind("label") == "Multilabel"
    assert len(task("label")["columns"]) == 60
    train(capsys, out)
    assert "task=tags" in look(capsys, f"[{target}]", "name=tags")
    assert len(task("tags")["columns"]) == 60


@pytest.mark.parametrize("name", ["a b", "no", "1st", "x" * 80, "[a,b]"])
def test_names_that_are_none_are_refused(capsys, name):
    write(["x", "y"], [[k, k % 2] for k in range(40)])
    assert "name is" in refused(capsys, "[y]", f"name='{name}'" if name[0] != "[" else f"name={name}")


def test_labels_that_differ_in_capitals_are_said_and_both_ways_of_joining_them_work(capsys):
    out = look(capsys, "[y]", case="label_case.csv")
    assert "note: NO, no, Yes, yes differ in capitals only. Join them: mtl-init … ignore_case=true" in out
    assert kind("y") == "Classification"
    in_training = out.partition("or in training: ")[2].split()[0]
    assert {"y/accuracy", "y/f1"} <= set(train(capsys, out, "trainer.max_epochs=1", in_training))
    assert Path("run/summary.json").exists()
    out = look(capsys, "[y]", "ignore_case=true")
    assert kind("y") == "Binary"
    assert task("y")["classes"] == ["no", "yes"]
    train(capsys, out, "trainer.max_epochs=1", "hydra.run.dir=joined")
    assert json.loads(Path("joined/summary.json").read_text())["test"]["y/auc"] > 0.5


def test_blank_lines_before_and_between_rows_are_skipped(capsys):
    out = look(capsys, "[y,z]", case="empty_lines.csv")
    assert "300 rows, 4 columns" in out
    train(capsys, out)
    Path("data.csv").write_text("\n\n\n")
    Path("conf").rename("done")
    assert "has no header: every line is empty. Give a file with rows." in refused(capsys, "y")


def test_names_of_columns_can_be_given(capsys):
    write([0.5, 1], [[noise, k % 2] for k, (_, noise) in enumerate(stream())])
    out = look(capsys, "y", "column_names=[x,y]")
    assert "301 rows" in out
    train(capsys, out)


def test_times_of_0_are_times_and_missing_belongs_to_the_time(capsys):
    out = look(capsys, "[t+event]", case="surv_time_zero.csv")
    assert kind("t_event") == "Survival"
    train(capsys, out)
    rows = [[noise, -1 if k % 10 == 0 else 0 if k % 10 == 1 else rng.randint(1, 90), int(rng.random() < 0.4)]
            for k, (rng, noise) in enumerate(stream())]  # fmt: skip
    write(["x", "t", "event"], rows)
    out = look(capsys, "[t+event]")
    words = shlex.split(next(line for line in out.splitlines() if line.strip().startswith("mtl-train ")))[1:]
    quick = ["trainer.max_epochs=1", "hydra.run.dir=run2", "trainer.device=cpu", "quiet=true"]
    assert cli.main([*words, *quick]) == 2
    said = capsys.readouterr().err
    assert "-1 is not a time ≥ 0. If it stands for a missing label, say so: '++tasks.t_event.missing=[-1]'." in said
    advice = shlex.split(said.partition("say so: ")[2].rstrip(". \n"))
    assert cli.main([*words, *quick, *advice]) == 0
    source = tabular(Path("data.csv"), targets={
        "t": {"kind": "survival", "columns": ["t", "event"], "missing": ["0", "-1"]}
    })  # fmt: skip
    labels = np.concatenate([everything(source, split).fields["t"].numpy() for split in ("train", "val", "test")])
    there = labels[~np.isnan(labels[:, 0])]
    assert len(there) == 240
    assert sorted(there[:, 1]) == sorted(float(row[2]) for row in rows if row[1] > 0), "no censored row is lost"


def test_grades_and_the_users_that_gave_them_are_a_ranking(capsys):
    out = look(capsys, "[stars+user]", case="ranking_1_to_5.csv")
    assert kind("stars_user") == "Ranking"
    assert "ranking, because stars grades the rows of each user" in out
    write(["stars", "user_id", "x"], [[rng.randint(0, 4), rng.randint(1, 20), x] for rng, x in stream()])
    look(capsys, "[stars+user_id]")
    assert kind("stars_user_id") == "Ranking"
    write(["width", "height", "x"], [[rng.randint(0, 4), rng.randint(1, 20), x] for rng, x in stream()])
    look(capsys, "[width+height]")
    assert kind("width_height") == "Regression"


def test_comments_of_conll_are_no_words_and_a_word_may_begin_with_a_hash(capsys):
    out = look(capsys, "[pos,ner]", "columns=[word,pos,chunk,ner]", case="conll_comments.conll", source="data.conll")
    assert "sent_id" not in out
    assert "120 sentences, 600 words, 4 columns" in out
    train(capsys, out)
    Path("tags.conll").write_text("# sent_id = 1\n#tag O\nword B\n\n" * 30)
    assert "60 words" in look(capsys, "[tag]", "columns=[word,tag]", source="tags.conll")


def test_a_column_of_training_and_validation_rows_only_gives_a_test_split_too(capsys):
    write(["x", "y", "part"], [[x, k % 2, "dev" if k % 4 == 0 else "Train"] for k, (_, x) in enumerate(stream())])
    out = look(capsys, "y")
    assert dataset()["split_column"] == "part"
    train(capsys, out)
    source = tabular(Path("data.csv"), split_column="part")
    assert [len(everything(source, split).fields["y"]) for split in ("train", "val", "test")] == [191, 75, 34]


def test_pairs_of_many_targets_are_cut_and_what_was_cut_is_said(capsys):
    names = [f"t{k}" for k in range(70)]
    write(["x", *names], [[rng.random(), *(rng.choice([0, 1]) for _ in names)] for rng, _ in stream(60)])
    start = time.process_time()
    out = look(capsys, f"[{','.join(names)}]")
    assert time.process_time() - start < 8
    table = out.partition("Targets together")[2].partition("Written")[0]
    assert "of 70 columns the first 32 are compared" in table
    assert "the 20 pairs with the largest share, of 496" in table
    pairs = [line.split() for line in table.splitlines() if " – t" in line]
    assert len(pairs) == 20
    shares = [float(pair[-1]) for pair in pairs]
    assert shares == sorted(shares, reverse=True)
    train(capsys, out)


def test_a_run_that_is_proposed_stops_when_it_no_longer_improves(capsys):
    write(["x", "y"], [[x, x + rng.gauss(0, 1)] for rng, x in stream()])
    out = look(capsys, "y")
    assert "trainer.max_epochs=714 trainer.eval_every=3 early_stopping.patience=20" in out


def test_names_that_hydra_cannot_hold_are_said_and_can_be_set(capsys):
    out = look(capsys, "['标签','价格']", case="chinese.csv")
    assert "note: on Hydra's command line a task's name has Latin letters only; name=[…] sets it" in out
    assert [task(name)["column"] for name in ("target", "target_2")] == ["标签", "价格"]
    assert "categorical: 类别" in out
    out = look(capsys, "['标签','价格']", "name=[label,price]")
    assert [task(name)["column"] for name in ("label", "price")] == ["标签", "价格"]
    assert {"label/auc", "price/rmse"} <= set(train(capsys, out))
