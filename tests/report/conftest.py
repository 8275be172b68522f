import pytest


@pytest.fixture(autouse=True)
def _drawn(figures):
    """The tests of figures draw them."""
