"""Lets torchvision from PyPI, which is linked against CUDA, be imported beside a CPU build of torch.

Where torchvision's native library does not load, its Python code still registers fake kernels for the operators `nms`
and `qnms`, and fails with "operator torchvision::nms does not exist". Then torchmetrics and timm fail too, because they
import it. Defining the two schemas first is enough for datasets, models and transforms. Compiled operators (nms,
roi_align) and torchvision.io decoding stay unavailable.
"""

import ctypes
import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_libraries: list[object] = []  # kept, because a torch.library.Library that is collected removes its schemas


class TorchvisionGuard(MetaPathFinder):
    """Defines the schemas when torchvision is first imported, then steps aside; it does not find modules itself."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return None always, so that the finders after this one find the module."""
        if fullname != "torchvision":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec("torchvision")
        if spec is not None and spec.origin is not None and not native_library_loads(Path(spec.origin).parent):
            define_schemas()
        return None


def native_library_loads(package: Path) -> bool:
    """True when the compiled operators beside torchvision's Python files load into this process."""
    import torch  # noqa: F401  the library links against torch's own

    libraries = [file for pattern in ("_C*.so", "_C*.pyd", "_C*.dylib") for file in package.glob(pattern)]
    for library in libraries:
        try:
            ctypes.CDLL(str(library))
        except OSError:
            continue
        return True
    return False


def define_schemas() -> None:
    """Define the two operator schemas that torchvision's Python code refers to at import."""
    import torch

    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        library.define(f"{name}{SCHEMA}")
    _libraries.append(library)


def install() -> None:
    """Put the guard in front of the import system, once, unless torchvision is imported already."""
    if "torchvision" in sys.modules or any(isinstance(finder, TorchvisionGuard) for finder in sys.meta_path):
        return
    sys.meta_path.insert(0, TorchvisionGuard())
