"""One thread and one seed for every test: speed on few cores, and the same numbers everywhere."""

import os

import pytest
import torch
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
def _few_resamples():
    """Evaluations draw their rows a tenth as often as usual."""
    asked.RESAMPLES, usual = 100, asked.RESAMPLES
    yield
    asked.RESAMPLES = usual


SAVEFIG = Figure.savefig


def _blank(figure, file, format, **options):
    """Write a PNG of a figure's size without what is in it: laying one out takes longer than most runs of the tests."""
    if format == "png":
        Image.new("RGB", tuple(int(side) for side in figure.bbox.size)).save(file, format)
    else:
        SAVEFIG(figure, file, format=format, **options)


@pytest.fixture(autouse=True, scope="session")
def _blank_figures():
    Figure.savefig = _blank
    yield
    Figure.savefig = SAVEFIG


@pytest.fixture
def figures():
    """Figures are drawn as users get them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", SAVEFIG)
        yield
