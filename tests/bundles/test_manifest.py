"""A bundle is what was written, or it is refused."""

import hashlib
import json
import os

import pytest

from mtl_cli.bundles.manifest import DIGEST, NAME, read_manifest, write_manifest
from mtl_cli.errors import UserError

DATA = {
    "mtl_cli": "0", "model": "onnx", "tasks": {"y": {}},
    "columns": {"y_prediction": {"task": "y", "names": ["a", "b"]}}, "datasets": {}, "check": {}, "decisions": {},
}  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"graph")
    write_manifest(tmp_path, DATA)
    return tmp_path


def test_what_was_written_is_read(folder):
    found = read_manifest(folder)
    assert found.tasks == ["y"]
    assert found.columns["y_prediction"].names == ("a", "b")
    assert found.file("model.onnx") == folder / "model.onnx"
    with pytest.raises(UserError, match="lists no file 'other'"):
        found.file("other")


def change_file(folder):
    (folder / "model.onnx").write_bytes(b"grapf")


def cut_file(folder):
    (folder / "model.onnx").write_bytes(b"gra")


def change_manifest(folder):
    (folder / NAME).write_text((folder / NAME).read_text().replace('"a"', '"A"'))


def remove_file(folder):
    (folder / "model.onnx").unlink()


def link_file(folder):
    (folder / "model.onnx").rename(folder.parent / "elsewhere")
    (folder / "model.onnx").symlink_to(folder.parent / "elsewhere")


def remove_digest(folder):
    (folder / DIGEST).unlink()


def pipe_in_place_of_digest(folder):
    (folder / DIGEST).unlink()
    os.mkfifo(folder / DIGEST)


def link_manifest(folder):
    (folder / NAME).rename(folder.parent / "elsewhere.json")
    (folder / NAME).symlink_to(folder.parent / "elsewhere.json")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (pipe_in_place_of_digest, "is not a plain file"), (link_manifest, "is not a plain file"),
        (change_file, r"model\.onnx is not what mtl-export wrote"), (cut_file, "its SHA-256 differs"),
        (change_manifest, r"manifest\.json is not what"), (remove_file, "missing, or is a link"),
        (link_file, "missing, or is a link"), (remove_digest, "not a whole bundle"),
    ],
)  # fmt: skip
def test_what_was_changed_is_refused(folder, change, message):
    change(folder)
    with pytest.raises(UserError, match=message):
        read_manifest(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "reads up to 1"), ({"model": "pickle"}, "of format 'pickle'"),
        ({"tasks": []}, "not the manifest"),
        ({"files": {"../x": {}}}, "missing, or is a link"), ({"files": {"model.onnx": 3}}, "not what mtl-export"),
    ],
)  # fmt: skip
def test_a_manifest_that_is_none_is_refused_also_with_its_own_digest(folder, change, message):
    write_manifest(folder, DATA)
    text = json.dumps(json.loads((folder / NAME).read_text()) | change)
    (folder / NAME).write_text(text)
    (folder / DIGEST).write_text(hashlib.sha256(text.encode()).hexdigest())
    with pytest.raises(UserError, match=message):
        read_manifest(folder)
