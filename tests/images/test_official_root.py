from pathlib import Path

import pytest

from mtl_cli.datasets.base import checked_batch_size
from mtl_cli.errors import UserError
from mtl_cli.images.official_files import official_root


def test_the_packaged_copy_needs_no_folder():
    assert official_root("letters", "packaged", None) is None


def test_a_leading_tilde_of_the_folder_is_expanded(monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    assert official_root("letters", "torchvision", "~/data") == Path("/home/somebody/data")


@pytest.mark.parametrize("batch_size", [0, -3])
def test_a_batch_of_nothing_is_refused_with_the_override(batch_size):
    with pytest.raises(ValueError, match=rf"batch_size is {batch_size}; .* Use data\.batch_size=128"):
        checked_batch_size(batch_size)


def test_an_unknown_source_is_refused_with_the_nearest():
    with pytest.raises(UserError, match=r"'torchvison'\. Did you mean 'torchvision'\?"):
        official_root("letters", "torchvison", "a")


def test_official_files_without_a_folder_are_refused_with_the_override():
    with pytest.raises(UserError, match=r"Add data\.root=DIR"):
        official_root("letters", "torchvision", None)


def test_a_folder_that_would_be_ignored_is_refused():
    with pytest.raises(UserError, match=r"data\.root=/a would be ignored. Add data\.source=torchvision"):
        official_root("letters", "packaged", "/a")


@pytest.mark.parametrize("root", [None, "/a"])
def test_a_dataset_without_a_packaged_copy_says_how_to_get_it(root):
    expected = r"cifar10 has no packaged copy: .*Use data\.source=torchvision data\.root=DIR"
    with pytest.raises(UserError, match=expected):
        official_root("cifar10", "packaged", root, sources=["torchvision"])
