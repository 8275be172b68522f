import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine


def _no_waiting(connection, record):
    connection.execute("PRAGMA synchronous=OFF")


@pytest.fixture(autouse=True, scope="package")
def _no_waiting_for_disks():
    """The storage of a search is not flushed to the disk, as other files are not in these tests."""
    event.listen(Engine, "connect", _no_waiting)
    yield
    event.remove(Engine, "connect", _no_waiting)
