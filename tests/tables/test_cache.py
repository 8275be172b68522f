"""Tables that are kept on disk: verified, made again where they are damaged, and written on space that is there."""

import errno
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from mtl_cli.errors import RunFailure, UserError
from mtl_cli.storage import sealed
from mtl_cli.storage.sealed import Damaged, Seal, seal
from mtl_cli.tables import mapped, opening
from tests.tables._files import arrays, everything, tabular, write_csv


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of 256 bytes, so that a small table has many; smaller files than a block are read at once."""
    for module in (sealed, mapped):
        monkeypatch.setattr(module, "BLOCK", 256)


def table(folder):
    stream = np.random.RandomState(0)
    rows = [[round(x, 5), f"c{k % 7}", k % 3] for k, x in enumerate(stream.normal(size=300))]
    return write_csv(folder / "data.csv", ["x", "c", "y"], rows)


def opened(folder, memory_mb=0.0):
    opening._tables.clear()
    opening._profiles.clear()
    return tabular(folder / "data.csv", memory_mb=memory_mb, cache_dir=str(folder / "cache"))


def all_inputs(source):
    return {
        f"{split}/{name}": values for split in ("train", "val", "test")
        for name, values in everything(source, split).inputs.items()
    }  # fmt: skip


def same(one, other):
    return one.keys() == other.keys() and all(bool((value == other[name]).all()) for name, value in one.items())


def close(one, other):
    """Compare inputs that went through float32 with others."""
    return one.keys() == other.keys() and all(torch.allclose(v, other[k], atol=1e-6) for k, v in one.items())


def flip(path, at):
    content = bytearray(path.read_bytes())
    content[at] ^= 64
    path.write_bytes(content)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("at", [40, 700, -3])
@pytest.mark.parametrize("name", ["numbers.npy", "codes.npy", "centre.json", "values_0.arrow", "complete"])
def test_a_flipped_bit_is_found_and_the_table_is_read_again(tmp_path, caplog, name, at):
    table(tmp_path)
    right = all_inputs(opened(tmp_path))
    assert close(right, all_inputs(opened(tmp_path, memory_mb=100)))
    (entry,) = [path for path in (tmp_path / "cache").iterdir() if path.is_dir()]
    size = (entry / name).stat().st_size
    flip(entry / name, at % size)
    assert same(all_inputs(opened(tmp_path)), right)
    assert "read again" in caplog.text
    caplog.clear()
    assert same(all_inputs(opened(tmp_path)), right)
    assert not caplog.text.count("damaged")


@pytest.mark.parametrize("damage", ["cut", "gone", "no seal"])
def test_a_file_without_its_end_is_found_when_the_table_is_opened(tmp_path, damage):
    table(tmp_path)
    right = all_inputs(opened(tmp_path))
    (entry,) = [path for path in (tmp_path / "cache").iterdir() if path.is_dir()]
    if damage == "cut":
        os.truncate(entry / "numbers.npy", 200)
    else:
        (entry / {"gone": "codes.npy", "no seal": "complete"}[damage]).unlink()
    assert same(all_inputs(opened(tmp_path)), right)


@pytest.mark.usefixtures("small_blocks")
def test_blocks_are_compared_when_they_are_first_used(tmp_path):
    values = np.arange(4000.0).reshape(1000, 4)
    with mapped.MatrixFile(tmp_path / "m.npy", np.float64, 4) as file:
        for start in range(0, 1000, 300):
            file.append(values[start : start + 300])
    seal(tmp_path)
    flip(tmp_path / "m.npy", -1)
    matrix = mapped.MappedMatrix(Seal.of(tmp_path), "m.npy")
    assert (matrix[np.array([0, 500, 3])] == values[[0, 500, 3]]).all()
    with pytest.raises(RunFailure, match=r"m.npy is damaged. The next run reads it again"):
        matrix[np.array([999])]
    with pytest.raises(RunFailure):
        matrix[:, 1]
    flip(tmp_path / "m.npy", -1)
    assert (matrix[:, 1] == values[:, 1]).all()


def test_every_file_is_on_the_disk_before_the_seal(tmp_path, monkeypatch):
    order = []
    monkeypatch.setattr(os, "fsync", lambda fd: order.append(Path(f"/proc/self/fd/{fd}").readlink().name))
    table(tmp_path)
    opened(tmp_path)
    written = [name for name in order if "." in name or name == "complete"]
    assert {"numbers.npy", "codes.npy", "values_0.arrow"} <= set(written[: written.index("complete")])


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path, monkeypatch):
    def full(fd, offset, length):
        assert length > 300 * 8
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    table(tmp_path)
    with pytest.raises(UserError, match=r"Cannot keep the table .*: No space left on device. Give another folder"):
        opened(tmp_path)
    assert [path.name for path in (tmp_path / "cache").iterdir() if path.is_dir()] == []


def test_a_damaged_profile_is_made_again(tmp_path):
    table(tmp_path)
    right = all_inputs(opened(tmp_path))
    (profile,) = (tmp_path / "cache").glob("*.profile.json")
    profile.write_text(profile.read_text().replace('"numbers": 300', '"numbers": 3', 1))
    shutil.rmtree(next(path for path in (tmp_path / "cache").iterdir() if path.is_dir()))
    assert same(all_inputs(opened(tmp_path)), right)


def test_a_seal_of_another_folder_is_none(tmp_path):
    with pytest.raises(Damaged, match=r"complete is missing or damaged"):
        Seal.of(tmp_path)
    (tmp_path / "complete").write_text('{"files": {"a": {"size": 1, "sums": []}}, "sum": 1}')
    with pytest.raises(Damaged, match=r"complete is damaged"):
        Seal.of(tmp_path)


@pytest.mark.parametrize("change", ["shorter", "other"])
def test_a_mapped_array_that_changes_in_use_is_noticed(tmp_path, change):
    np.save(tmp_path / "x.npy", np.random.RandomState(0).normal(size=(5000, 4)))
    np.save(tmp_path / "y.npy", np.arange(5000) % 2)
    source = arrays(tmp_path, memory_mb=0.0)
    everything(source, "train")
    if change == "shorter":
        os.truncate(tmp_path / "x.npy", 1000)
    else:
        os.utime(tmp_path / "x.npy", (1, 1))
    with pytest.raises(UserError, match=r"x.npy changed while it was in use"):
        everything(source, "train")
