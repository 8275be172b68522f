import errno
import json
import math
import os
import subprocess
import sys
import threading

import pytest

from mtl_cli.errors import RunFailure
from mtl_cli.files import Temporary, read_json, sha256, sweep, sync_directory, write_bytes, write_json, write_text


def test_a_file_holds_what_was_written_and_no_temporary_file_is_left(tmp_path):
    path = tmp_path / "a.bin"
    write_bytes(path, b"one")
    write_bytes(path, bytes(range(256)))
    assert path.read_bytes() == bytes(range(256))
    write_text(tmp_path / "b.txt", "zwölf ≥ 3")
    assert (tmp_path / "b.txt").read_bytes() == "zwölf ≥ 3".encode()
    assert sorted(os.listdir(tmp_path)) == ["a.bin", "b.txt"]


@pytest.mark.parametrize("failing", ["fsync", "write", "rename"])
def test_a_failing_disk_keeps_the_previous_file_and_leaves_no_temporary_file(tmp_path, monkeypatch, failing):
    path = tmp_path / "a.json"
    write_bytes(path, b"before")

    def fail(*args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if failing == "write":
        resource = pytest.importorskip("resource")
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))  # the kernel takes 4096 bytes, then refuses
    else:
        monkeypatch.setattr(os, failing, fail) if failing == "fsync" else monkeypatch.setattr(
            type(path), "replace", fail
        )
    try:
        with pytest.raises(RunFailure, match=r"Cannot write .*a\.json: .*untouched"):
            write_bytes(path, b"after" * 100_000)
    finally:
        if failing == "write":
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["a.json"]


def test_a_missing_directory_is_a_run_failure(tmp_path):
    with pytest.raises(RunFailure, match="No such file or directory"):
        write_bytes(tmp_path / "none" / "a", b"x")


def test_data_and_directory_are_made_durable_in_order(tmp_path, monkeypatch):
    events = []
    fsync, replace = os.fsync, type(tmp_path).replace

    def noted_fsync(descriptor):
        events.append("directory" if os.path.isdir(f"/dev/fd/{descriptor}") else "data")
        fsync(descriptor)

    def noted_replace(self, target):
        events.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(type(tmp_path), "replace", noted_replace)
    write_bytes(tmp_path / "a", b"x")
    assert events == ["data", "rename", "directory"]


@pytest.mark.parametrize(("code", "tolerated"), [(errno.EINVAL, True), (errno.EIO, False)])
def test_a_file_system_that_cannot_sync_directories_is_lived_with_and_a_broken_disk_is_not(
    tmp_path, monkeypatch, code, tolerated
):
    def fail(descriptor):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)
    if tolerated:
        sync_directory(tmp_path)
    else:
        with pytest.raises(RunFailure, match="durable"):
            sync_directory(tmp_path)


def test_a_reader_never_sees_half_a_file(tmp_path):
    path = tmp_path / "a"
    write_bytes(path, b"0" * 200_000)
    seen, done = set(), threading.Event()

    def read():
        while not done.is_set():
            data = path.read_bytes()
            seen.add((len(data), len(set(data))))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for number in range(40):
            write_bytes(path, str(number % 10).encode() * 200_000)
    finally:
        done.set()
        reader.join()
    assert seen == {(200_000, 1)}


def test_many_writers_of_one_file_meet_no_errors(tmp_path):
    path = tmp_path / "a"
    problems = []

    def write(number):
        try:
            for _ in range(60):
                write_bytes(path, str(number).encode() * 10_000)
        except Exception as error:
            problems.append(error)

    writers = [threading.Thread(target=write, args=[number]) for number in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert problems == []
    assert len(set(path.read_bytes())) == 1
    assert os.listdir(tmp_path) == ["a"]


LEFT = [".a.tmp", ".a.1234.tmp", f".a.{'0f' * 8}.tmp"]


def test_what_killed_writers_left_is_swept_and_what_others_write_or_own_stays(tmp_path):
    for name in (*LEFT, ".a.mine.tmp", ".b.tmp", "a.tmp", ".a"):
        (tmp_path / name).write_text("half")
    with Temporary(tmp_path / "a") as living:
        write_bytes(tmp_path / "a", b"x")
        assert sorted(os.listdir(tmp_path)) == sorted([".a", ".a.mine.tmp", ".b.tmp", "a", "a.tmp", living.path.name])
    sweep(tmp_path)
    assert sorted(os.listdir(tmp_path)) == [".a", "a", "a.tmp"]


def test_leftovers_that_are_no_files_are_swept_without_being_followed_or_waited_for(tmp_path):
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "file").write_text("precious")
    (tmp_path / LEFT[0]).symlink_to(tmp_path / "victim")
    os.mkfifo(tmp_path / LEFT[1])
    (tmp_path / LEFT[2]).mkdir()
    (tmp_path / LEFT[2] / "link").symlink_to(tmp_path / "victim")
    sweep(tmp_path, "a")
    assert os.listdir(tmp_path) == ["victim"]
    assert (tmp_path / "victim" / "file").read_text() == "precious"


def test_a_writer_that_is_killed_leaves_a_file_that_the_next_one_sweeps(tmp_path):
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom mtl_cli.files import Temporary\n"
        "held = Temporary(Path(sys.argv[1]))\nprint(held.path.name, flush=True)\nos.kill(os.getpid(), 9)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a")], capture_output=True, text=True, check=False
    )
    assert os.listdir(tmp_path) == [done.stdout.strip()]
    write_bytes(tmp_path / "a", b"x")
    assert os.listdir(tmp_path) == ["a"]


def test_a_name_of_the_greatest_length_is_written(tmp_path):
    write_bytes(tmp_path / ("ü" * 127), b"x")
    assert len(os.listdir(tmp_path)) == 1


def test_json_comes_back_and_what_is_no_object_is_empty(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"name": "µ", "step": 3, "score": None})
    assert read_json(path) == {"name": "µ", "step": 3, "score": None}
    for text in ("", "{", "[1]", "3", "\ud800".encode("utf-8", "surrogatepass"), "[" * 200_000):
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        assert read_json(path) == {}
    assert read_json(tmp_path / "none.json") == {}


def test_the_digest_is_sha256():
    assert sha256(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, B.1


def test_a_json_file_holds_null_where_a_number_is_not_finite(tmp_path):
    write_json(tmp_path / "x.json", {"a": [math.nan, 1.5], "b": {"c": -math.inf}, "d": (math.inf,)})

    def refuse(word):
        raise ValueError(word)

    text = (tmp_path / "x.json").read_text()
    assert json.loads(text, parse_constant=refuse) == {"a": [None, 1.5], "b": {"c": None}, "d": [None]}
