import io
import os
import pickle

import numpy as np
import pytest

from mtl_cli.images.plain_pickle import read_plain_pickle
from tests.images._official_files import write_python2_pickle

ARRAYS = {
    "bytes": np.arange(12, dtype=np.uint8).reshape(3, 4),
    "columns": np.asfortranarray(np.arange(6, dtype=np.int64).reshape(2, 3)),
    "big": np.array([1.5, -2.0], dtype=">f8"),
    "objects": np.array([np.arange(2), np.arange(3)], dtype=object),
    "list": [1, 2.5, "text", None, True, (b"\xff\x00", {"a": 1})],
}


class Harmful:
    def __init__(self, call, *arguments):
        self.reduced = (call, arguments)

    def __reduce__(self):
        return self.reduced


@pytest.mark.parametrize("protocol", range(6))
def test_plain_data_and_arrays_are_read_in_every_protocol(protocol):
    read = read_plain_pickle(io.BytesIO(pickle.dumps(ARRAYS, protocol=protocol)))
    for name in ("bytes", "columns", "big"):
        assert np.array_equal(read[name], ARRAYS[name])
        assert read[name].dtype == ARRAYS[name].dtype
    assert [part.tolist() for part in read["objects"]] == [[0, 1], [0, 1, 2]]
    assert read["list"] == ARRAYS["list"]


def test_a_pickle_of_python_2_is_read(tmp_path):
    write_python2_pickle(tmp_path / "a", {"data": ARRAYS["bytes"], "labels": [3, 1]})
    read = read_plain_pickle(tmp_path / "a")
    assert np.array_equal(read["data"], ARRAYS["bytes"])
    assert read["labels"] == [3, 1]


@pytest.mark.parametrize(
    "call",
    [
        Harmful(os.system, "true"),
        Harmful(eval, "1"),
        Harmful(getattr, 1, "real"),
        Harmful(np.load, "a.npy"),
        Harmful(np.fromfile, "a"),
        Harmful(io.FileIO, "a", "w"),
    ],
)
def test_a_pickle_that_calls_anything_else_is_refused(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content = pickle.dumps({"data": call}, protocol=2)
    with pytest.raises(ValueError, match="which is not plain data"):
        read_plain_pickle(io.BytesIO(content))
    assert list(tmp_path.iterdir()) == []


def test_bytes_may_be_written_through_the_latin_1_codec_only():
    assert read_plain_pickle(io.BytesIO(pickle.dumps(b"\xfe", protocol=2))) == b"\xfe"
    content = pickle.dumps(b"\xfe", protocol=2).replace(b"latin1", b"base64")
    with pytest.raises(ValueError, match="base64"):
        read_plain_pickle(io.BytesIO(content))


@pytest.mark.parametrize("dtype", ["S5", "M8", "V9", "[('a', 'u1')]"])
def test_arrays_of_other_types_are_refused(dtype):
    array = np.zeros(2, dtype=[("a", "u1")] if dtype.startswith("[") else dtype)
    with pytest.raises(ValueError, match="are not read"):
        read_plain_pickle(io.BytesIO(pickle.dumps(array, protocol=2)))


def test_every_cut_and_many_flips_end_in_a_value_error_or_in_plain_data():
    content = pickle.dumps({"data": ARRAYS["bytes"], "labels": [1, 2, 3]}, protocol=2)
    for length in range(len(content)):
        with pytest.raises(ValueError, match=r".+"):
            read_plain_pickle(io.BytesIO(content[:length]))
    for position in range(len(content)):
        damaged = bytearray(content)
        damaged[position] ^= 0x15
        try:
            read_plain_pickle(io.BytesIO(bytes(damaged)))
        except ValueError:
            continue
