import hashlib
import re
import shutil

import numpy as np
import pytest

from mtl_cli.errors import UserError
from mtl_cli.images import packaged
from mtl_cli.images.packaged import FOLDER, read_packaged

NAMES = ("mnist_digits_10k.npz", "ocr_letters_52k.npz")


def test_the_data_card_gives_the_hash_of_every_file_and_its_class_counts():
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert sorted(path.name for path in FOLDER.glob("*.npz")) == sorted(NAMES)
    sections = dict(re.findall(r"^## (\S+)$(.*?)(?=^## |\Z)", card, flags=re.MULTILINE | re.DOTALL))
    for name in NAMES:
        assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() in sections[name]
        labels = np.load(FOLDER / name)["labels"]
        rows = re.findall(r"^\| (train|val|test) \| (.*) \|$", sections[name], flags=re.MULTILINE)
        counts = {"train": [], "val": [], "test": []}
        for split, row in rows:
            counts[split] += [int(count) for count in row.split("|")]
        assert np.array_equal(np.sum(list(counts.values()), axis=0), np.bincount(labels))


@pytest.mark.parametrize("size", [None, 0, 100, 300_000])
def test_a_missing_or_truncated_file_is_named(tmp_path, monkeypatch, size):
    if size is not None:
        shutil.copy(FOLDER / NAMES[1], tmp_path)
        with (tmp_path / NAMES[1]).open("r+b") as file:
            file.truncate(size)
    monkeypatch.setattr(packaged, "FOLDER", tmp_path)
    state = "missing" if size is None else "damaged"
    with pytest.raises(UserError, match=rf"{NAMES[1]} is {state} .* Reinstall"):
        read_packaged(NAMES[1], {"labels": (52_152,)})


def test_a_flipped_bit_is_noticed(tmp_path, monkeypatch):
    content = bytearray((FOLDER / NAMES[0]).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / NAMES[0]).write_bytes(content)
    monkeypatch.setattr(packaged, "FOLDER", tmp_path)
    with pytest.raises(UserError, match="is damaged"):
        read_packaged(NAMES[0], {"images": (10_000, 28, 28)})


def test_arrays_of_another_shape_are_refused(tmp_path, monkeypatch):
    np.savez(tmp_path / "a.npz", labels=np.zeros(3))
    monkeypatch.setattr(packaged, "FOLDER", tmp_path)
    with pytest.raises(UserError, match=r"labels has shape \(3,\), not \(4,\)"):
        read_packaged("a.npz", {"labels": (4,)})
    with pytest.raises(UserError, match="is damaged"):
        read_packaged("a.npz", {"images": (4,)})
