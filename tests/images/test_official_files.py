import socket
import urllib.error
from pathlib import Path

import numpy as np
import pytest
import torch

from mtl_cli.errors import UserError
from mtl_cli.images import official_files
from mtl_cli.images.official_files import DOWNLOAD_TIMEOUT, OFFICIAL, OfficialSet, read_official_idx
from tests.images._official_files import random_rows, write_cifar10, write_emnist, write_idx, write_mnist


def replace_download(monkeypatch, name, download):
    entry = OFFICIAL[name]
    monkeypatch.setitem(OFFICIAL, name, OfficialSet(entry.folder, entry.names, download, entry.flat))


def no_download(root):
    raise AssertionError("all files are there, nothing may be downloaded")


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("folder", ["MNIST/raw", "."])
def test_files_that_are_there_are_read_without_a_download(tmp_path, monkeypatch, folder, packed):
    replace_download(monkeypatch, "MNIST", no_download)
    written = write_mnist(tmp_path / folder, packed)
    for (images, labels), rows in zip(written, read_official_idx("MNIST", tmp_path, 10), strict=True):
        assert np.array_equal(rows.images[:, 0].numpy(), images)
        assert np.array_equal(rows.labels.numpy(), labels)
        assert rows.images.dtype == torch.uint8
        assert rows.labels.dtype == torch.int64


def test_names_and_folders_are_those_of_torchvision(tmp_path):
    from torchvision import datasets

    write_mnist(tmp_path / "MNIST" / "raw")
    write_mnist(tmp_path / "FashionMNIST" / "raw")
    write_emnist(tmp_path / "EMNIST" / "raw")
    for name, options in (("MNIST", {}), ("FashionMNIST", {}), ("EMNIST", {"split": "letters"})):
        for train, rows in zip((True, False), read_official_idx(name, tmp_path, 27), strict=True):
            theirs = getattr(datasets, name)(tmp_path, train=train, **options)
            assert torch.equal(theirs.data, rows.images[:, 0])
            assert torch.equal(theirs.targets, rows.labels)
    cifar = OFFICIAL["CIFAR10"]
    assert cifar.folder == datasets.CIFAR10.base_folder
    assert set(cifar.names) == {name for name, _ in datasets.CIFAR10.train_list + datasets.CIFAR10.test_list}


def test_fashion_mnist_is_not_read_from_mnists_files_in_the_root(tmp_path, monkeypatch):
    write_mnist(tmp_path)

    def fail(root):
        raise urllib.error.URLError("no network")

    replace_download(monkeypatch, "FashionMNIST", fail)
    with pytest.raises(UserError, match="FashionMNIST: no train-images-idx3-ubyte"):
        read_official_idx("FashionMNIST", tmp_path, 10)


@pytest.mark.parametrize(
    "error",
    [urllib.error.URLError("no network"), RuntimeError("File not found or corrupted."), TimeoutError("timed out")],
)
def test_a_failed_download_is_short_and_leaves_nothing_behind(tmp_path, monkeypatch, error):
    def fail(root):
        (root / "MNIST" / "raw").mkdir(parents=True)
        (root / "MNIST" / "raw" / "train-images-idx3-ubyte.gz").write_bytes(b"half")
        raise error

    replace_download(monkeypatch, "MNIST", fail)
    root = tmp_path / "new" / "data"
    with pytest.raises(UserError) as caught:
        read_official_idx("MNIST", root, 10)
    message = str(caught.value)
    for part in (str(root), "train-images-idx3-ubyte", str(error.args[0]), "data.root=DIR"):
        assert part in message
    assert len(message) < 600
    assert list(tmp_path.iterdir()) == []


def test_a_download_adds_the_missing_files_only(tmp_path, monkeypatch):
    calls = []

    def download(root):
        calls.append(socket.getdefaulttimeout())
        write_mnist(root / "MNIST" / "raw", num_train=30)

    replace_download(monkeypatch, "MNIST", download)
    before = socket.getdefaulttimeout()
    raw = tmp_path / "MNIST" / "raw"
    write_idx(raw / "t10k-labels-idx1-ubyte", np.full(50, 7, dtype=np.uint8))
    train, test = read_official_idx("MNIST", tmp_path, 10)
    assert len(train.labels) == 30
    assert test.labels.tolist() == [7] * 50
    read_official_idx("MNIST", tmp_path, 10)
    assert calls == [DOWNLOAD_TIMEOUT]
    assert socket.getdefaulttimeout() == before
    assert sorted(path.name for path in raw.iterdir()) == sorted(OFFICIAL["MNIST"].names)
    assert [path.name for path in tmp_path.iterdir()] == ["MNIST"]


@pytest.mark.parametrize("name", sorted(OFFICIAL))
def test_downloads_go_through_torchvision(tmp_path, monkeypatch, name):
    from torchvision import datasets

    seen = []
    monkeypatch.setattr(getattr(datasets, name), "__init__", lambda self, root, **options: seen.append((root, options)))
    OFFICIAL[name].download(tmp_path)
    wanted = {"EMNIST": [{"split": "letters"}], "SVHN": [{"split": "train"}, {"split": "test"}]}.get(name, [{}])
    folder = tmp_path / "SVHN" if name == "SVHN" else tmp_path  # torchvision gives SVHN no folder of its own
    assert seen == [(folder, {**options, "download": True}) for options in wanted]


def test_a_root_that_is_a_file_is_named(tmp_path):
    (tmp_path / "data").write_text("no folder")
    with pytest.raises(UserError, match=f"{tmp_path}/data"):
        read_official_idx("MNIST", tmp_path / "data", 10)


def spoil(folder: Path, what):
    images, labels = random_rows(200, 10)
    broken = {
        "other size": ("train-images-idx3-ubyte", images[:, :14]),
        "fewer labels": ("train-labels-idx1-ubyte", labels[:150]),
        "label 10": ("train-labels-idx1-ubyte", np.where(labels == 3, 10, labels).astype(np.uint8)),
        "empty": ("train-images-idx3-ubyte", images[:0]),
    }
    write_idx(folder / broken[what][0], broken[what][1])


@pytest.mark.parametrize(
    ("what", "complaint"),
    [
        ("other size", r"train-images-idx3-ubyte has images of \(14, 28\) pixels, not \(28, 28\)"),
        ("fewer labels", "train-labels-idx1-ubyte has 150 labels for 200 images"),
        ("label 10", "train-labels-idx1-ubyte has labels 0 to 10 .*, not 0 to 9"),
        ("empty", "train-labels-idx1-ubyte has 200 labels for 0 images"),
    ],
)
def test_files_that_do_not_fit_are_named(tmp_path, what, complaint):
    folder = tmp_path / "MNIST" / "raw"
    write_mnist(folder)
    spoil(folder, what)
    with pytest.raises(UserError, match=complaint):
        read_official_idx("MNIST", tmp_path, 10)


def test_labels_below_the_first_class_are_refused(tmp_path):
    write_mnist(tmp_path / "MNIST" / "raw")
    with pytest.raises(UserError, match="has labels -1 to 8"):
        read_official_idx("MNIST", tmp_path, 10, first_class=1)


def test_cifar_files_are_found_in_their_folder_or_in_the_root(tmp_path, monkeypatch):
    replace_download(monkeypatch, "CIFAR10", no_download)
    write_cifar10(tmp_path)
    folder = tmp_path / "cifar-10-batches-py"
    for root in (tmp_path, folder):
        paths = official_files.official_files("CIFAR10", root)
        assert paths == [folder / name for name in OFFICIAL["CIFAR10"].names]
