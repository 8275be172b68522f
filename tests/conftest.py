"""One thread and one seed for every test: speed on few cores, and the same numbers everywhere."""

import pytest
import torch

collect_ignore = ["extending"]
"""Files that `test_extending.py` lays into a copy."""


@pytest.fixture(autouse=True)
def _one_seed():
    torch.manual_seed(0)


def pytest_configure(config):
    torch.set_num_threads(1)
