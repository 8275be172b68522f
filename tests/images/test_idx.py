import gzip
import struct

import numpy as np
import pytest

from mtl_cli.errors import UserError
from mtl_cli.images.idx import read_idx
from tests.images._official_files import idx_bytes, write_idx

IMAGES = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)


def test_a_file_is_read_as_it_was_written_plain_and_packed(tmp_path):
    write_idx(tmp_path / "a", IMAGES)
    write_idx(tmp_path / "b", IMAGES, packed=True)
    assert np.array_equal(read_idx(tmp_path / "a", 3), IMAGES)
    assert np.array_equal(read_idx(tmp_path / "b.gz", 3), IMAGES)


def test_the_published_header_of_mnist_is_understood(tmp_path):
    header = struct.pack(">4I", 2051, 1, 28, 28)  # 2051 is the magic number that MNIST's page gives for images
    (tmp_path / "a").write_bytes(header + bytes(range(196)) * 4)
    assert read_idx(tmp_path / "a", 3).shape == (1, 28, 28)
    (tmp_path / "b").write_bytes(struct.pack(">2I", 2049, 3) + b"\x07\x02\x01")  # and 2049 for labels
    assert read_idx(tmp_path / "b", 1).tolist() == [7, 2, 1]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "header has 0 bytes, not 16"),
        (idx_bytes(IMAGES)[:10], "header has 10 bytes, not 16"),
        (b"\x00\x00\x08\x01" + idx_bytes(IMAGES)[4:], "magic number is 0x00000801, not 0x00000803"),
        (b"\x00\x00\x0d\x03" + idx_bytes(IMAGES)[4:], "magic number is 0x00000d03"),
        (b"<!DOCTYPE html><html>", "magic number is 0x3c21444f"),
        (idx_bytes(IMAGES)[:-1], "announces 2 * 3 * 4 = 24 bytes, only 23 bytes follow"),
        (idx_bytes(IMAGES) + b"\x00", "announces 2 * 3 * 4 = 24 bytes, more bytes follow"),
        (struct.pack(">4I", 2051, 2**32 - 1, 2**32 - 1, 28), "bytes, more than 1073741824"),
    ],
)
def test_a_bad_file_is_named_with_its_fault(tmp_path, content, complaint):
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_idx(path, 3)
    assert str(path) in str(caught.value)
    assert complaint in str(caught.value)


@pytest.mark.parametrize("damage", ["cut", "flip", "no gzip"])
def test_a_damaged_gz_file_is_named(tmp_path, damage):
    content = bytearray(
        gzip.compress(idx_bytes(np.random.RandomState(0).randint(0, 256, (9, 28, 28)).astype(np.uint8)))
    )
    if damage == "flip":
        content[len(content) // 2] ^= 0x10
    path = tmp_path / "labels.gz"
    path.write_bytes({"cut": content[: len(content) // 2], "flip": content, "no gzip": b"hello"}[damage])
    with pytest.raises(UserError, match=r"labels\.gz is not a usable idx file: it cannot be read"):
        read_idx(path, 3)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match="nowhere is not a usable idx file"):
        read_idx(tmp_path / "nowhere", 1)
