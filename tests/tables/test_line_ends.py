"""Arrow's threads let go of a file before its reader ends."""

import time

import pytest

from mtl_cli.errors import UserError
from mtl_cli.tables import csv_rows
from mtl_cli.tables.formats import open_file
from mtl_cli.tables.line_ends import LONGEST, settle
from mtl_cli.tables.reading import ReadOptions


def test_a_file_that_is_left_or_at_fault_is_let_go_so_that_the_process_can_end(tmp_path, monkeypatch):
    left = []
    monkeypatch.setattr(csv_rows, "settle", lambda stream: (settle(stream), left.append(stream()))[0])
    (tmp_path / "a.csv").write_text("x,y\n1,2\n3,4\n")
    (tmp_path / "b.csv").write_text("x,y\n1,2\n3\n")
    start = time.monotonic()
    next(open_file(tmp_path / "a.csv", ReadOptions()).batches())
    with pytest.raises(UserError, match="no cell for column 'y'"):
        list(open_file(tmp_path / "b.csv", ReadOptions()).batches())
    assert left == [None] * len(left) != []
    assert time.monotonic() - start < LONGEST
