#!/usr/bin/env python
"""Predicts by a bundle of images in ONNX, in Python and over HTTP, where neither torch nor Hydra is installed.

    python scripts/check_bundle.py BUNDLE TASK

`scripts/check_wheel` runs it in a new environment that has no more than `mtl-serve` needs.
"""

import importlib.util
import io
import json
import re
import signal
import subprocess
import sys
import urllib.request

import numpy as np
from PIL import Image

import mtl_cli

SERVE = "import sys; from mtl_cli import cli; sys.exit(cli.main_serve([f'bundle={sys.argv[1]}', 'port=0']))"
ABSENT = ("torch", "torchvision", "hydra", "omegaconf", "pyarrow", "matplotlib", "optuna")


def served(bundle: str, image: bytes) -> dict[str, object]:
    """Return what a server of the bundle answers for one image, once it has ended as it should."""
    command = [sys.executable, "-c", SERVE, bundle]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        assert server.stdout is not None
        line = server.stdout.readline()
        found = re.search(r"http://\S+?:\d+", line)
        assert found, line
        request = urllib.request.Request(f"{found[0]}/predict", image, {"content-type": "image/png"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            (row,) = json.load(answer)["predictions"]
        server.send_signal(signal.SIGTERM)
        assert server.wait(30) == 0
    return row


def main() -> None:
    """Compare both answers."""
    bundle, task = sys.argv[1:]
    assert not [name for name in ABSENT if importlib.util.find_spec(name)], "this environment has more than is needed"
    pixels = np.random.default_rng(0).integers(0, 256, (1, 28, 28)).astype(np.uint8)
    columns = mtl_cli.load(bundle, tasks=task).predict(pixels)
    image = io.BytesIO()
    Image.fromarray(pixels[0]).save(image, "png")
    row = served(bundle, image.getvalue())
    assert row[f"{task}_prediction"] == columns[f"{task}_prediction"][0]
    chances = {name: values[0] for name, values in columns.items() if values.dtype.kind == "f"}
    assert len(chances) > 2
    assert all(abs(row[name] - value) < 1e-4 for name, value in chances.items())
    print(f"{len(chances)} probabilities agree")


if __name__ == "__main__":
    main()
