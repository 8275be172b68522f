import ctypes
import subprocess
import sys

import pytest

from mtl_cli.images import torchvision_guard
from mtl_cli.images.torchvision_guard import TorchvisionGuard, install, native_library_loads
from tests._thinned import thinned

USE = (
    "import torch, torchvision; from torchvision import datasets, models; from torchvision.transforms import v2;"
    "assert hasattr(torch.ops.torchvision, 'nms');"
    "out = models.resnet18().eval()(torch.zeros(1, 3, 32, 32)); assert out.shape == (1, 1000);"
    "assert v2.Resize(8)(torch.zeros(3, 16, 16)).shape == (3, 8, 8)"
)


def run(code):
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=200, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize(
    "first", thinned(["import mtl_cli", "import torch, mtl_cli", "import mtl_cli, torchmetrics"], ["import mtl_cli"])
)
def test_torchvision_is_usable_whatever_is_imported_first(first):
    run(f"{first}; {USE}")


def test_the_guard_itself_imports_neither_torch_nor_torchvision():
    loaded = run("import mtl_cli, sys; print('torch' in sys.modules, 'torchvision' in sys.modules)")
    assert loaded.split() == ["False", "False"]


@pytest.fixture
def meta_path(monkeypatch):
    others = [finder for finder in sys.meta_path if not isinstance(finder, TorchvisionGuard)]
    monkeypatch.setattr(sys, "meta_path", others)
    monkeypatch.delitem(sys.modules, "torchvision", raising=False)
    return others


def make_package(folder, monkeypatch):
    (folder / "torchvision").mkdir()
    (folder / "torchvision" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(folder)
    return folder / "torchvision"


@pytest.mark.parametrize(("loads", "defined"), [(True, 0), (False, 1)])
def test_schemas_are_defined_only_where_the_native_library_does_not_load(
    meta_path, tmp_path, monkeypatch, loads, defined
):
    package, calls = make_package(tmp_path, monkeypatch), []
    monkeypatch.setattr(torchvision_guard, "define_schemas", lambda: calls.append("defined"))
    monkeypatch.setattr(torchvision_guard, "native_library_loads", lambda folder: folder == package and loads)
    install()
    assert meta_path[0].find_spec("torch") is None
    assert calls == []
    assert meta_path[0].find_spec("torchvision") is None
    assert len(calls) == defined
    assert not any(isinstance(finder, TorchvisionGuard) for finder in meta_path)


def test_the_guard_is_installed_once_and_not_after_torchvision(meta_path, monkeypatch):
    install()
    install()
    assert sum(isinstance(finder, TorchvisionGuard) for finder in meta_path) == 1
    del meta_path[0]
    monkeypatch.setitem(sys.modules, "torchvision", sys)
    install()
    assert not any(isinstance(finder, TorchvisionGuard) for finder in meta_path)


def test_a_library_that_is_missing_or_no_library_does_not_load(tmp_path, monkeypatch):
    assert not native_library_loads(tmp_path)
    (tmp_path / "_C.so").write_bytes(b"no library")
    assert not native_library_loads(tmp_path)
    monkeypatch.setattr(ctypes, "CDLL", lambda path: path)
    assert native_library_loads(tmp_path)
