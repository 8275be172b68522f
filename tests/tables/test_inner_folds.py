"""Training and validation rows of a file, divided into folds."""

import numpy as np
import pytest

from mtl_cli.datasets.division_base import Division
from mtl_cli.errors import UserError
from tests.tables._files import everything, tabular, write_csv

ROWS = 60


def table(folder):
    rows = [[k, k % 3, k * k, f"g{k // 4}", f"2020-01-{k % 28 + 1:02d}"] for k in range(ROWS)]
    return write_csv(folder / "table.csv", ["x", "y", "z", "group", "day"], rows)


def opened(folder, division, **changes):
    numbers = {"x": {"kind": "real", "column": "x"}}
    source = tabular(
        table(folder),
        opened=False,
        targets={"y": {"kind": "class", "column": "y"}, **numbers},
        drop=[each for each in ("day", "group") if each not in changes.values()],
        **changes,
    )
    source.division = division
    source.open()
    return source


def rows_of(source, split):
    return sorted(int(value) for value in everything(source, split).fields["x"])


@pytest.mark.parametrize("changes", [{}, {"group_column": "group"}, {"id_column": "group"}])
def test_each_row_outside_the_test_split_validates_once_and_groups_stay_together(tmp_path, changes):
    (tmp_path / "t").mkdir()
    whole = opened(tmp_path, Division(), **changes)
    pool = sorted(rows_of(whole, "train") + rows_of(whole, "val"))
    held = []
    for fold in range(3):
        source = opened(tmp_path, Division(3, fold), **changes)
        assert rows_of(source, "test") == rows_of(whole, "test")
        val = rows_of(source, "val")
        assert sorted(rows_of(source, "train") + val) == pool
        assert source.full_split("val") is not None
        held += val
        if changes:
            assert not {row // 4 for row in val} & {row // 4 for row in rows_of(source, "train")}
    assert sorted(held) == pool


def test_what_is_fitted_is_fitted_on_the_rows_that_are_trained_on(tmp_path):
    one, other = (opened(tmp_path, Division(3, fold)) for fold in (0, 1))
    both = opened(tmp_path, Division(together=True))
    means = [float(np.mean(rows_of(each, "train"))) for each in (one, other, both)]
    assert len(set(means)) == 3
    assert len(rows_of(both, "train")) == ROWS - len(rows_of(both, "test"))
    assert set(rows_of(both, "val")) < set(rows_of(both, "train"))


@pytest.mark.parametrize(
    ("division", "changes", "message"),
    [
        (Division(3, 0), {"time_column": "day"}, "data.inner_folds=3 would train on rows that are newer"),
        (Division(900, 0), {}, "data.inner_folds=900 is more than its 51 training and validation rows"),
        (Division(40, 39), {"group_column": "group"}, "by group_column=group. Use fewer folds"),
        (Division(3, 0), {"val_path": "other.csv"}, "keeps validation rows in a file of their own"),
        (Division(together=True), {"val_path": "other.csv"}, "keeps validation rows in a file of their own"),
    ],
)
def test_folds_that_cannot_be_are_refused(tmp_path, division, changes, message):
    if "val_path" in changes:
        changes = {
            "val_path": str(
                write_csv(tmp_path / "other.csv", ["x", "y", "z", "group", "day"], [[1, 1, 1, "a", "2020-01-01"]])
            )
        }
    with pytest.raises(UserError, match=message):
        opened(tmp_path, division, **changes)
