"""A pool of ranks that serves many cases: the test is rank 0, and started processes are the others."""

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.distributed import TCPStore

from mtl_cli.ranks.group import end, joined, start
from mtl_cli.ranks.place import OWN, Place, place_of
from mtl_cli.ranks.ranks import Ranks

WORK = "from tests.ranks._pool import work; work()"


class Pool:
    """Runs functions of `tests.ranks._cases` on all ranks at once."""

    def __init__(self, ranks: Ranks) -> None:
        self.ranks, self.broken = ranks, False

    def run(self, case: str, **arguments: Any) -> Any:
        """Return what a case returns on rank 0, once all ranks have run it."""
        self.ranks.tell(lambda: {"case": case, "arguments": arguments})
        self.broken = True
        found = called(self.ranks, case, arguments)
        self.broken = False
        return found


def called(ranks: Ranks, case: str, arguments: dict[str, Any]) -> Any:
    torch.manual_seed(0)
    return getattr(importlib.import_module("tests.ranks._cases"), case)(ranks, **arguments)


def work() -> None:
    """Be one of the other ranks, until rank 0 says that this is all."""
    torch.set_num_threads(1)
    place = place_of()
    assert place is not None
    with joined(place) as ranks:
        while (told := ranks.tell())["case"]:
            called(ranks, told["case"], told["arguments"])


TIMES = ("seconds", "train_seconds", "spans")


def differences(found, wanted, relative=0.0):
    """The leaves that differ, by more than a relative tolerance."""
    assert found.keys() == wanted.keys()
    assert any(isinstance(value, torch.Tensor) and value.numel() > 3 for value in found.values())
    wrong = []
    for name, value in wanted.items():
        if name.rpartition("/")[2] in TIMES or "/spans/" in name:
            continue
        own = found[name]
        if isinstance(value, torch.Tensor) and relative and value.is_floating_point():
            same = torch.allclose(own, value, rtol=relative, atol=relative / 10, equal_nan=True)
        elif isinstance(value, torch.Tensor):
            same = own.shape == value.shape and own.dtype == value.dtype and bool(((own == value) | (own != own)).all())
        else:
            same = repr(own) == repr(value)
        wrong += [] if same else [name]
    return wrong


@contextmanager
def pool(size: int) -> Iterator[Pool]:
    """Have so many ranks for a block."""
    store = TCPStore("127.0.0.1", 0, size, is_master=True, wait_for_workers=False)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    children = {rank: start(rank, size, store.port, WORK) for rank in range(1, size)}
    try:
        with joined(Place(0, size, 0, size, "127.0.0.1", store.port, OWN), store, children) as ranks:
            with ranks.watch.patient():
                found = Pool(ranks)
                yield found
            if found.broken:  # the others have failed too, or wait for numbers that will not come
                for child in children.values():
                    child.kill()
            else:
                ranks.tell(lambda: {"case": ""})
    finally:
        end(children)
