import errno
import math
import os

import pytest

from mtl_cli.errors import RunFailure
from mtl_cli.storage.records import RecordFile, finite, read_records, whole_lines

RECORDS = [
    {"kind": "train", "step": 1, "losses": {"a": 0.1, "ß": 2.0}},
    {"kind": "eval", "values": [1.5, math.nan, -math.inf], "none": None, "nested": {"x": (math.inf, True)}},
]


def written(path, records=RECORDS):
    lines = RecordFile(path)
    for record in records:
        lines.write(record)
    length = lines.sync()
    lines.close()
    return length


def test_records_come_back_with_null_for_what_is_not_finite(tmp_path):
    path = tmp_path / "a.jsonl"
    assert written(path) == path.stat().st_size
    assert read_records(path) == [
        RECORDS[0],
        {"kind": "eval", "values": [1.5, None, None], "none": None, "nested": {"x": [None, True]}},
    ]
    assert path.read_bytes().count(b"\n") == 2
    assert read_records(tmp_path / "none.jsonl") == []


def test_equal_records_write_equal_bytes(tmp_path):
    written(tmp_path / "a")
    written(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a").read_bytes().splitlines()[0] == (
        '{"kind": "train", "step": 1, "losses": {"a": 0.1, "ß": 2.0}}'.encode()
    )


@pytest.mark.parametrize("lost", range(1, 30))
def test_half_a_last_line_is_cut_wherever_it_ends(tmp_path, lost):
    path = tmp_path / "a"
    written(path)
    path.write_bytes(path.read_bytes()[:-lost])
    assert read_records(path) == [RECORDS[0]]
    lines = RecordFile(path, None)
    lines.write({"step": 2})
    lines.close()
    assert read_records(path) == [RECORDS[0], {"step": 2}]


def test_a_resumed_file_is_cut_to_the_length_of_the_checkpoint(tmp_path):
    path = tmp_path / "a"
    length = written(path, RECORDS[:1])
    more = RecordFile(path, length)
    assert more.length == length
    more.write(RECORDS[1])
    more.close()
    again = RecordFile(path, length)
    assert again.length == length
    again.close()
    assert read_records(path) == RECORDS[:1]


def test_a_new_file_starts_empty_also_where_one_was(tmp_path):
    written(tmp_path / "a")
    RecordFile(tmp_path / "a").close()
    assert (tmp_path / "a").read_bytes() == b""


def test_a_file_shorter_than_the_checkpoint_says_is_not_filled_up(tmp_path):
    path = tmp_path / "a"
    length = written(path)
    for left in (0, 10, length - 1):
        path.write_bytes(path.read_bytes()[:left])
        lines = RecordFile(path, length)
        lines.write({"step": 9})
        lines.close()
        assert b"\0" not in path.read_bytes()
        assert read_records(path)[-1] == {"step": 9}
        written(path)


def write_many(lines):
    for step in range(1000):
        lines.write({"step": step, "text": "x" * 60})


def test_a_full_disk_is_a_run_failure_and_leaves_whole_lines(tmp_path):
    resource = pytest.importorskip("resource")
    path = tmp_path / "a"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    lines = RecordFile(path)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(RunFailure, match="Cannot write"):
            write_many(lines)
        lines.close()  # has nothing left to write, so it cannot fail again
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    data = path.read_bytes()
    assert 3000 < len(data) <= 4096
    assert data.endswith(b"\n")
    assert [record["step"] for record in read_records(path)] == list(range(data.count(b"\n")))


def test_a_disk_that_cannot_sync_is_a_run_failure(tmp_path, monkeypatch):
    lines = RecordFile(tmp_path / "a")

    def fail(descriptor):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(RunFailure, match="Cannot write"):
        lines.sync()
    lines.close()


def test_whole_lines_counts_to_the_last_line_feed_within_a_length(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"ab\ncd\nef")
    assert [whole_lines(path, length) for length in (None, 0, 2, 3, 5, 6, 100)] == [6, 0, 0, 3, 3, 6, 6]


def test_finite_leaves_everything_else_as_it_is():
    value = {"a": 1, "b": "nan", "c": [True, None, 1e308]}
    assert finite(value) == value
