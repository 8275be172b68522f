import sys
from pathlib import Path

import pytest

from mtl_cli.storage import memory


def megabytes():
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("RssAnon")).split()[1]) / 1024


@pytest.mark.skipif(sys.platform != "linux", reason="glibc alone keeps it")
def test_what_lies_below_memory_in_use_is_given_back():
    pieces = [bytearray(1 << 16) for _ in range(1600)]
    kept = pieces[::40]
    before = megabytes()
    pieces.clear()
    memory.give_back()
    assert megabytes() < before - 80
    assert len(kept) == 40


def test_nothing_happens_where_the_library_is_another(monkeypatch):
    monkeypatch.setattr(memory, "_LIBRARY", None)
    memory.give_back()
