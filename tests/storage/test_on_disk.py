import sys

import pytest
import torch

from mtl_cli.storage import on_disk


def mapped(tensor):
    with open("/proc/self/maps") as lines:
        starts = [line.split("-")[0] for line in lines if "mtl-rows-" in line]
    return f"{tensor.data_ptr():x}" in {start.lstrip("0") for start in starts}


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere they are in memory")
def test_large_tensors_lie_in_files_without_a_name(tmp_path, monkeypatch):
    monkeypatch.setattr(on_disk.tempfile, "tempdir", str(tmp_path))
    large, small = (on_disk.empty(shape, torch.int32) for shape in ((600, 500), (5, 3)))
    assert mapped(large)
    assert not mapped(small)
    assert not list(tmp_path.iterdir())
    assert torch.equal(on_disk.taken(large.copy_(torch.arange(500)), torch.tensor([2])), large[:1])


@pytest.mark.parametrize("fault", ["no folder", "full"])
def test_without_space_they_are_in_memory(tmp_path, monkeypatch, fault):
    monkeypatch.setattr(on_disk.tempfile, "tempdir", str(tmp_path / "none" if fault == "no folder" else tmp_path))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(on_disk.os, "posix_fallocate", full, raising=False)
    found = on_disk.empty((600, 500), torch.int32)
    assert found.shape == (600, 500)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("rows", [1, 40000])
def test_many_tensors_become_few_with_the_same_rows(rows):
    parts, number = [], 600 if rows == 1 else 50
    for start in range(number):
        parts.append(torch.arange(start * rows, start * rows + rows, dtype=torch.int32))
        on_disk.pack(parts)
    assert len(parts) < (300 if rows == 1 else 10)
    assert torch.equal(on_disk.joined(parts), torch.arange(number * rows, dtype=torch.int32))
