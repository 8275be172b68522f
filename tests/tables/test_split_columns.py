"""Rows that are divided by the hash of an id, and by time."""

import numpy as np
import pytest

from mtl_cli.errors import UserError
from mtl_cli.tables.splitting import TEST, TRAIN, VAL, Fractions, by_id, by_time
from tests.tables._files import arrays, everything, tabular, write_csv


def parts(**changes):
    return Fractions(**{"val": 0.2, "test": 0.3, "seed": 0, **changes})


@pytest.mark.parametrize("folds", [None, 4])
def test_an_id_decides_alone_where_its_rows_go_and_shares_are_near(folds):
    ids = [f"id{index}" for index in range(4000)]
    codes = np.arange(4000)
    split = by_id(ids, codes, parts(folds=folds, fold=1))
    order = np.random.RandomState(0).permutation(4000)[:700]
    again = by_id([ids[row] for row in order], np.arange(700), parts(folds=folds, fold=1))
    assert (again == split[order]).all()
    assert abs((split == TEST).mean() - (0.3 if folds is None else 0.25)) < 0.03
    assert abs((split == VAL).mean() - 0.2) < 0.03
    assert (by_id(ids, codes, parts(seed=1)) != by_id(ids, codes, parts())).any()


def test_folds_of_ids_are_disjoint_and_cover_every_row():
    ids, codes = [str(index) for index in range(300)], np.arange(300)
    tests = [by_id(ids, codes, parts(folds=5, fold=fold)) == TEST for fold in range(5)]
    assert (np.sum(tests, axis=0) == 1).all()


def test_the_newest_rows_are_the_test_and_equal_times_stay_together():
    times = np.random.RandomState(0).randint(0, 30, 500) / 7.0
    split = by_time(times, parts())
    train, val, test = (times[split == number] for number in (TRAIN, VAL, TEST))
    assert train.max() < val.min()
    assert val.max() < test.min()
    assert abs(len(test) - 150) <= 17
    assert abs(len(val) - 100) <= 17


def table(folder, rows, name="data.csv"):
    return write_csv(folder / name, ["id", "day", "x", "y"], rows)


def body(count):
    stream = np.random.RandomState(0)
    return [
        [f"p{row}", f"2024-{1 + row % 12:02d}-{1 + row % 28:02d}", round(stream.normal(), 3), row % 2]
        for row in range(count)
    ]


def inputs(source, split):
    return {round(float(x), 4) for x in everything(source, split).inputs["numeric"][:, 0]}


def test_rows_that_are_added_do_not_move_others(tmp_path):
    options = {"id_column": "id", "drop": ["day"], "scale": "none"}
    before = tabular(table(tmp_path, body(200)), **options)
    changed = [*body(260)[200:], *reversed(body(200))]
    after = tabular(table(tmp_path, changed, "more.csv"), **options)
    for split in ("train", "val", "test"):
        assert inputs(before, split) < inputs(after, split)
    plain = tabular(table(tmp_path, body(200), "a.csv"), drop=["day", "id"], scale="none")
    moved = tabular(table(tmp_path, changed, "b.csv"), drop=["day", "id"], scale="none")
    assert not inputs(plain, "train") < inputs(moved, "train")


def test_dates_divide_a_table_and_are_inputs_only_where_they_are_declared(tmp_path):
    path = table(tmp_path, body(200))
    source = tabular(path, time_column="day", drop=["id"], scale="none")
    assert everything(source, "train").inputs["numeric"].shape[1] == 1
    source = tabular(path, time_column="day", numeric=["day"], categorical=[], scale="none")
    days = [everything(source, split).inputs["numeric"][:, 0] for split in ("train", "val", "test")]
    assert days[0].max() < days[1].min()
    assert days[1].max() < days[2].min()


def test_an_array_of_times_divides_arrays(tmp_path):
    when = np.datetime64("2020-01-01") + np.random.RandomState(0).permutation(100)
    np.savez(tmp_path / "a.npz", x=np.arange(100.0)[:, None], y=np.arange(100) % 2, t=when, when=when.astype(int))
    one, other = (arrays(tmp_path / "a.npz", time_column=name, scale="none") for name in ("t", "when"))
    for split in ("train", "val", "test"):
        assert everything(one, split).inputs.tolist() == everything(other, split).inputs.tolist()
    newest = everything(one, "test").inputs[:, 0].long().numpy()
    assert (np.sort(when[newest]) == np.sort(when)[-15:]).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"time_column": "id"}, "column 'id' is time_column and holds neither numbers nor dates alone, but text"),
        ({"time_column": "day", "folds": 3}, "data.folds=3 would train on rows that are newer"),
        ({"time_column": "day", "group_column": "id"}, "drop split_column, group_column and id_column"),
        ({"id_column": "id", "split_column": "id"}, "drop split_column and group_column, or id_column"),
        ({"id_column": "id", "stratify": "y"}, r"cannot be stratified: drop stratify \(stratify=null\) or id_column"),
        ({"id_column": "nr"}, "has no column 'nr'"),
    ],
)
def test_columns_that_cannot_divide_are_told(tmp_path, options, message):
    with pytest.raises(UserError, match=message):
        tabular(table(tmp_path, body(60)), **options)


def test_a_row_without_id_or_time_is_told_by_its_place(tmp_path):
    rows = body(60)
    rows[4][0] = rows[7][1] = None
    path = table(tmp_path, rows)
    with pytest.raises(UserError, match=r"row 5, column 'id': the row has no id. Fill it in, or drop id_column"):
        tabular(path, id_column="id")
    with pytest.raises(UserError, match=r"row 8, column 'day': the row has no time. Fill it in, or drop time_column"):
        tabular(path, time_column="day")
