"""One thread and one seed for every test: speed on few cores, and the same numbers everywhere."""

import os

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from mtl_cli.runs.statistics import asked

collect_ignore = ["extending"]
"""Files that `test_extending.py` lays into a copy."""


@pytest.fixture(autouse=True)
def _one_seed():
    torch.manual_seed(0)


def pytest_configure(config):
    torch.set_num_threads(1)
    os.environ.pop("COLUMNS", None)  # pytest-xdist says 80 to its workers, which no terminal did


@pytest.fixture(autouse=True, scope="session")
def _no_waiting_for_disks():
    """Nothing is flushed to the disk, which takes 5 ms per file: no test cuts the power."""
    os.fsync, usual = lambda descriptor: None, os.fsync
    yield
    os.fsync = usual


@pytest.fixture(autouse=True, scope="session")
def _few_resamples():
    """Evaluations draw their rows a tenth as often as usual."""
    asked.RESAMPLES, usual = 100, asked.RESAMPLES
    yield
    asked.RESAMPLES = usual


class _Blank:
    """Stands for panels, lines and legends: whatever is asked of it is not done."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *_, **__):
        return self

    def __getitem__(self, _):
        return self

    def get_ylim(self):
        return 0.0, 1.0

    def get_color(self):
        return "black"

    def get_linestyle(self):
        return "-"

    def __iter__(self):
        return iter([self])


def _blank_part(figure, *_, **__):
    return _Blank()


def _blank_panels(figure, rows, columns, squeeze):
    return np.array([_Blank()] * (rows * columns), dtype=object)


def _blank_file(canvas, file):
    Image.new("1", tuple(int(side) for side in canvas.figure.bbox.size)).save(file, "png")


BLANK = {
    (Figure, "subplots"): _blank_panels, (Figure, "legend"): _blank_part, (Figure, "colorbar"): _blank_part,
    (FigureCanvasAgg, "print_png"): _blank_file,
}  # fmt: skip
DRAWN = {place: getattr(*place) for place in BLANK}


def _replace(functions):
    for (owner, name), function in functions.items():
        setattr(owner, name, function)


@pytest.fixture(autouse=True, scope="session")
def _blank_figures():
    """Figures are PNG files of their size without what is in it: laying one out takes longer than most runs."""
    _replace(BLANK)
    yield
    _replace(DRAWN)


@pytest.fixture
def figures():
    """Figures are drawn as users get them."""
    _replace(DRAWN)
    yield
    _replace(BLANK)
