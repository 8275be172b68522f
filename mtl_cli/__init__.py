"""Configuration-driven multi-task learning in PyTorch.

    import mtl_cli

    run = mtl_cli.train(["task=letters", "trainer.max_epochs=1"])
    predictor = mtl_cli.load(run.path)
    columns = predictor.predict(images)

`__all__` is public; beside it the extension points that CONTRIBUTING.md describes are. torch is imported on use only.
"""

import importlib
from typing import TYPE_CHECKING, Any

from mtl_cli.images.torchvision_guard import install as _install_torchvision_guard

if TYPE_CHECKING:
    from mtl_cli.api.prediction import evaluate, load
    from mtl_cli.api.training import Run, train
    from mtl_cli.errors import Interrupted, RunFailure, UserError
    from mtl_cli.inference.base import Predictor

__version__ = "0.2.0"
__all__ = ["Interrupted", "Predictor", "Run", "RunFailure", "UserError", "evaluate", "load", "train"]
_MODULES = {
    "Interrupted": "errors", "Predictor": "inference.base", "Run": "api.training", "RunFailure": "errors",
    "UserError": "errors", "evaluate": "api.prediction", "load": "api.prediction", "train": "api.training",
}  # fmt: skip
"""Where each public name is defined."""

_install_torchvision_guard()


def __getattr__(name: str) -> Any:  # noqa: ANN401  whatever is public
    """Return a public name, whose module is imported when it is first used."""
    if name not in _MODULES:
        raise AttributeError(f"module 'mtl_cli' has no attribute {name!r}")
    return getattr(importlib.import_module(f"mtl_cli.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    """Return the public names."""
    return [*__all__, "__version__"]
