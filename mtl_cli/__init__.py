"""Configuration-driven multi-task learning in PyTorch."""

from mtl_cli.images.torchvision_guard import install as _install_torchvision_guard

__version__ = "0.1.0"

_install_torchvision_guard()
