"""One pool of two ranks for all tests of this folder."""

from contextlib import ExitStack

import pytest

from tests.ranks._pool import pool


class Shared:
    """A pool that is opened where it is asked for, and anew after a case has failed in it."""

    def __init__(self):
        self.pool, self._stack = None, ExitStack()

    def opened(self):
        if self.pool is None or self.pool.broken:
            self.close()
            self.pool = self._stack.enter_context(pool(2))
        return self.pool

    def close(self):
        self.pool = None
        self._stack.close()


@pytest.fixture(scope="package")
def _shared():
    found = Shared()
    yield found
    found.close()


@pytest.fixture
def two(_shared):
    """A pool of two ranks."""
    return _shared.opened()


@pytest.fixture
def no_pool(_shared):
    """No pool: the test is a rank of other processes."""
    _shared.close()
