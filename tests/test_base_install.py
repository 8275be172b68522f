"""The base install has no reader of tables, and a server of ONNX bundles has no torch either."""

import subprocess
import sys

import pytest

SERVER = ("mtl_cli.serving.app", "mtl_cli.inference.onnx_predictor", "mtl_cli.inference.loading")
RUNS = ("mtl_cli.runs.run", "mtl_cli.runs.predict", "mtl_cli.datasets.mnist_digits", "mtl_cli.images.new_images")


@pytest.mark.parametrize(
    ("modules", "absent"),
    [
        (SERVER, ("pyarrow", "torch", "torchvision", "hydra", "omegaconf")),
        pytest.param(RUNS, ("pyarrow",), marks=pytest.mark.slow),
    ],
    ids=["server", "runs"],
)
def test_modules_do_without_what_the_install_lacks(modules, absent):
    program = f"""
import importlib, sys
sys.modules.update(dict.fromkeys({absent!r}))
for module in {modules!r}: importlib.import_module(module)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
