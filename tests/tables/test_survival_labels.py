"""Times of 0, and values that stand for a missing time."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mtl_cli.errors import UserError
from tests.tables._files import arrays, everything, tabular, write_csv

CASE = Path(__file__).parent.parent / "cases" / "surv_time_zero.csv"


def target(**options):
    return {"out": {"kind": "survival", "columns": ["t", "event"], **options}}


def labels(source):
    return torch.cat([everything(source, split).fields["out"] for split in ("train", "val", "test")])


def test_times_of_0_are_times():
    found = labels(tabular(CASE, targets=target(), stratify=None))
    assert not bool(found.isnan().any())
    assert bool((found[:, 0] == 0).any())


def test_a_missing_time_does_not_drop_rows_whose_event_did_not_happen():
    everything_there = labels(tabular(CASE, targets=target(), stratify=None))
    found = labels(tabular(CASE, targets=target(missing=[0]), stratify=None))
    assert int(found[:, 0].isnan().sum()) == int((everything_there[:, 0] == 0).sum())
    assert bool((found[:, 1] == 0).any())


def test_arrays_are_read_alike(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.arange(40.0), t=np.arange(40) % 5, event=np.arange(40) % 3 == 0)
    found = labels(arrays(tmp_path / "a.npz", targets=target(missing=[0]), stratify=None))
    assert int(found[:, 0].isnan().sum()) == 8
    assert bool((found[:, 1] == 0).any())


def test_negative_times_and_other_events_are_told(tmp_path):
    rows = [[k, k % 4, k % 2] for k in range(40)]
    for row, column, value, message in (
        (3, 1, -2, r"row 4, column 't': -2 is not a time ≥ 0. If it stands for a missing label, say so: .*missing="),
        (
            5,
            2,
            7,
            r"row 6, column 'event': '7' is neither 0 nor 1. If it stands for a missing event, .* missing_values",
        ),
    ):
        changed = [list(each) for each in rows]
        changed[row][column] = value
        with pytest.raises(UserError, match=message):
            tabular(write_csv(tmp_path / "a.csv", ["x", "t", "event"], changed), targets=target(), stratify=None)
